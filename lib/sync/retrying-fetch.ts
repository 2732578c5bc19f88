import { setTimeout as sleep } from 'node:timers/promises';
import { getProxyForUrl } from 'proxy-from-env';
import { Agent, Dispatcher, fetch as undiciFetch, ProxyAgent } from 'undici';

/** Pause before the second time, in milliseconds; it doubles up to the longest. */
const pauseMs = 500;
const longestPauseMs = 30_000;
/** Longest pause that a server may ask for, in seconds: the Hub counts requests in five minutes. */
const mostSeconds = 310;
/** Pauses that a server may ask for, and milliseconds in all, that are not counted as attempts: three of the Hub's. */
const mostPauses = 10;
const mostPauseMs = 3000 * mostSeconds;

/**
 * Times in which an answer must begin, and the next bytes of it must come, in milliseconds; the former longer where
 * the server has work to do, as with a commit of many files.
 */
const answerMs = 20_000;
const workMs = 300_000;

const worthAnother = (status: number): boolean =>
  status === 408 || status === 429 || status === 500 || (status >= 502 && status <= 504);

/**
 * A `fetch` that asks again where it is throttled or the connection breaks, after as long as the server says.
 * Who is throttled makes the others wait too: many at once must not become a storm. Proxies come from the
 * environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`). Bodies must be text or blobs, which can be sent again.
 *
 * @param attempts times that a request is sent at most, beside those that the server asked to be put off, of which
 *   there are ten at most
 */
export function retryingFetch(attempts: number): typeof fetch {
  const dispatcher = new ProxiedDispatcher();
  let waitUntil = 0;
  // The same fetch as Node's own, of another version, whose types are told apart.
  const send = undiciFetch as unknown as (input: unknown, init: unknown) => Promise<Response>;
  return async (input, init = {}) => {
    const rest = (ms: number) => sleep(ms, undefined, init.signal ? { signal: init.signal } : {});
    let [pauses, pausedMs] = [0, 0];
    for (let attempt = 1; ; attempt += 1) {
      while (waitUntil > Date.now()) await rest(waitUntil - Date.now());
      const backOff = Math.min(longestPauseMs, pauseMs * 2 ** (attempt - 1));
      let response: Response;
      try {
        response = await send(input, { ...init, dispatcher });
      } catch (error) {
        if (init.signal?.aborted === true || attempt >= attempts) throw error;
        await rest(backOff);
        continue;
      }
      if (!worthAnother(response.status)) return response;
      const seconds = pauseAsked(response.headers);
      const ms = Math.max(backOff, 1000 * (seconds ?? 0));
      const patient = seconds !== undefined && pauses < mostPauses && pausedMs + ms <= mostPauseMs;
      if ((seconds ?? 0) > mostSeconds || (!patient && attempt >= attempts)) return response;
      await response.body?.cancel().catch(() => undefined); // so that the connection is free again, however long the rest is
      if (seconds === undefined && response.status !== 429) {
        await rest(backOff);
        continue;
      }
      waitUntil = Math.max(waitUntil, Date.now() + ms);
      if (!patient) continue;
      pauses += 1;
      pausedMs += ms;
      attempt -= 1;
    }
  };
}

/** Seconds that a server asks for: as the Hub says it (`ratelimit: "api";r=0;t=55`), or in the usual header. */
function pauseAsked(headers: Headers): number | undefined {
  const reset = /;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
  const asked = headers.get('retry-after') ?? reset;
  const seconds = Number(asked ?? NaN);
  return Number.isFinite(seconds) ? seconds : undefined;
}

/** Sends each request by way of the proxy that the environment names for its host, if it names one. */
class ProxiedDispatcher extends Dispatcher {
  readonly #agents = new Map<string, Dispatcher>();

  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandlers,
  ): boolean {
    const { method, origin } = options;
    const headersTimeout = method === 'GET' || method === 'HEAD' ? answerMs : workMs;
    return this.#agentFor(getProxyForUrl(String(origin))).dispatch(
      { ...options, headersTimeout },
      handler,
    );
  }

  /** @param proxy empty: none */
  #agentFor(proxy: string): Dispatcher {
    const known = this.#agents.get(proxy);
    if (known) return known;
    const limits = { bodyTimeout: answerMs };
    const agent = proxy === '' ? new Agent(limits) : new ProxyAgent({ uri: proxy, ...limits });
    this.#agents.set(proxy, agent);
    return agent;
  }
}
