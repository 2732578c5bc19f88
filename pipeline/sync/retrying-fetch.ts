import { setTimeout as sleep } from 'node:timers/promises';
import { getProxyForUrl } from 'proxy-from-env';
import { Agent, Dispatcher, fetch as undiciFetch, ProxyAgent } from 'undici';

/** Back-off before the first retry, in milliseconds; it doubles up to the longest. */
const backOffMs = 500;
const maxBackOffMs = 30_000;
/** Longest `Retry-After` that is honoured, in seconds: the Hub counts requests in windows of five minutes. */
const maxRetryAfter = 310;
/** Limits of server-requested pauses that don't count as attempts, in number and total ms: three of the Hub's. */
const maxPauses = 10;
const maxPausedMs = 3000 * maxRetryAfter;

/**
 * Timeout for a response's headers and between its bytes, in milliseconds. Headers of a response to a write may take
 * longer, since the Hub has work to do for a commit of many files.
 */
const timeoutMs = 20_000;
const writeTimeoutMs = 300_000;

const isTransient = (status: number): boolean =>
  status === 408 || status === 429 || status === 500 || (status >= 502 && status <= 504);

/**
 * A `fetch` that retries throttled and failed requests. All requests of the same `fetch` wait for a server's
 * `Retry-After` or `ratelimit`. Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`). Bodies
 * must be text or blobs, which can be sent again.
 *
 * Not undici's `RetryAgent`: below `fetch` it can't send a body again, and its last response becomes an error.
 *
 * @param attempts most attempts per request, not counting those that the server asked to postpone, of which there are
 *   at most ten
 */
export function retryingFetch(attempts: number): typeof fetch {
  const dispatcher = new ProxiedDispatcher();
  let waitUntil = 0;
  // Node's own fetch, but of another version with incompatible types.
  const send = undiciFetch as unknown as (input: unknown, init: unknown) => Promise<Response>;
  return async (input, init = {}) => {
    const rest = (ms: number) => sleep(ms, undefined, init.signal ? { signal: init.signal } : {});
    let [pauses, pausedMs] = [0, 0];
    for (let attempt = 1; ; attempt += 1) {
      while (waitUntil > Date.now()) await rest(waitUntil - Date.now());
      const backOff = Math.min(maxBackOffMs, backOffMs * 2 ** (attempt - 1));
      let response: Response;
      try {
        response = await send(input, { ...init, dispatcher });
      } catch (error) {
        if (init.signal?.aborted === true || attempt >= attempts) throw error;
        await rest(backOff);
        continue;
      }
      if (!isTransient(response.status)) return response;
      const seconds = retryAfter(response.headers);
      const ms = Math.max(backOff, 1000 * (seconds ?? 0));
      const patient = seconds !== undefined && pauses < maxPauses && pausedMs + ms <= maxPausedMs;
      if ((seconds ?? 0) > maxRetryAfter || (!patient && attempt >= attempts)) return response;
      await response.body?.cancel().catch(() => undefined); // frees the connection without reading the rest
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

/** Seconds to wait, from the usual header or from the Hub's `ratelimit: "api";r=0;t=55`. */
function retryAfter(headers: Headers): number | undefined {
  const reset = /;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
  const asked = headers.get('retry-after') ?? reset;
  const seconds = Number(asked ?? NaN);
  return Number.isFinite(seconds) ? seconds : undefined;
}

/** Sends each request through the proxy that the environment names for its host, if any. */
class ProxiedDispatcher extends Dispatcher {
  readonly #agents = new Map<string, Dispatcher>();

  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandlers,
  ): boolean {
    const { method, origin } = options;
    const headersTimeout = method === 'GET' || method === 'HEAD' ? timeoutMs : writeTimeoutMs;
    return this.#agentFor(getProxyForUrl(String(origin))).dispatch(
      { ...options, headersTimeout },
      handler,
    );
  }

  /** @param proxy empty: none */
  #agentFor(proxy: string): Dispatcher {
    const known = this.#agents.get(proxy);
    if (known) return known;
    const limits = { bodyTimeout: timeoutMs };
    const agent = proxy === '' ? new Agent(limits) : new ProxyAgent({ uri: proxy, ...limits });
    this.#agents.set(proxy, agent);
    return agent;
  }
}
