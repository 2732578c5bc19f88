import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * CPU cores that this process may keep busy, at least 1. Node counts the machine's cores, but a container's quota may
 * be lower (a Space with 2 of a large host's): threads beyond the quota only get the whole process throttled.
 */
export function usableCores(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(cgroupQuota() ?? Infinity)));
}

/** CPU quota of Linux's cgroups (version 2, then 1); `undefined` if there is no limit. */
function cgroupQuota(): number | undefined {
  const root = '/sys/fs/cgroup';
  const [quota, period] = readWords(`${root}/cpu.max`) ?? [
    ...(readWords(`${root}/cpu/cpu.cfs_quota_us`) ?? []),
    ...(readWords(`${root}/cpu/cpu.cfs_period_us`) ?? []),
  ];
  const cores = Number(quota) / Number(period);
  return cores > 0 ? cores : undefined;
}

function readWords(path: string): string[] | undefined {
  try {
    return readFileSync(path, 'utf8').trim().split(/\s+/);
  } catch {
    return undefined;
  }
}
