/** Reads a process's children, CPU time and memory from Linux's /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** The fields of `/proc/PID/stat` after the name, starting with the state; `undefined` if the process has ended. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** A process and all its descendants. */
export function processTree(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: Number(statOf(Number(name))?.[1]) }));
  const tree = [pid];
  for (const parent of tree)
    tree.push(...parents.filter((one) => one.parent === parent).map((one) => one.pid));
  return tree;
}

/** USER_HZ, the kernel's unit of CPU time: the same on every architecture that Node runs on. */
const ticksASecond = 100;

/** CPU seconds of a process so far, user and system, including its descendants. */
export function processorSeconds(pid: number): number {
  let ticks = 0;
  for (const member of processTree(pid))
    // utime, stime, and the same of children that have ended (cutime, cstime)
    for (const field of statOf(member)?.slice(11, 15) ?? []) ticks += Number(field);
  return ticks / ticksASecond;
}

const sumMb = (pid: number, file: string, name: string) =>
  processTree(pid)
    .map((member) => readFileSync(`/proc/${String(member)}/${file}`, 'utf8'))
    .map((text) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024)
    .reduce((sum, mb) => sum + mb, 0);

/** Resident memory in MiB, including descendants. */
export const residentMb = (pid: number): number => sumMb(pid, 'status', 'VmRSS');

/** Proportional set size in MiB, including descendants: a shared page is divided among its processes. */
export const proportionalMb = (pid: number): number => sumMb(pid, 'smaps_rollup', 'Pss');
