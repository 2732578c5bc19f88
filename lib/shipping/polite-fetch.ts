import { setTimeout as sleep } from 'node:timers/promises';
import { getProxyForUrl } from 'proxy-from-env';
import { Agent, Dispatcher, fetch as undiciFetch, ProxyAgent } from 'undici';

/** Pause before the second, in milliseconds; it doubles. */
const pauseMs = 500;
/** Longest pause that a server may ask for, in seconds. */
const mostSeconds = 300;

/** Times in which an answer must begin, and the next bytes of it must come, in milliseconds. */
const answerMs = 20_000;

const worthAnother = (status: number): boolean =>
  status === 408 || status === 429 || status === 500 || (status >= 502 && status <= 504);

/**
 * A `fetch` that asks again where it is throttled or the connection breaks, after as long as the server says.
 * Who is throttled makes the others wait too: many at once must not become a storm. Proxies come from the
 * environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`). Bodies must be text or blobs, which can be sent again.
 *
 * @param attempts times that a request is sent at most
 */
export function politeFetch(attempts: number): typeof fetch {
  const dispatcher = new ProxiedDispatcher();
  let waitUntil = 0;
  // The same fetch as Node's own, of another version, whose types are told apart.
  const send = undiciFetch as unknown as (input: unknown, init: unknown) => Promise<Response>;
  return async (input, init = {}) => {
    for (let attempt = 1; ; attempt += 1) {
      const wait = waitUntil - Date.now();
      if (wait > 0) await sleep(wait, undefined, init.signal ? { signal: init.signal } : {});
      let response: Response;
      try {
        response = await send(input, { ...init, dispatcher });
      } catch (error) {
        if (init.signal?.aborted === true || attempt === attempts) throw error;
        await sleep(pauseMs * 2 ** (attempt - 1));
        continue;
      }
      if (!worthAnother(response.status) || attempt === attempts) return response;
      const seconds = Number(response.headers.get('retry-after') ?? NaN);
      if (seconds > mostSeconds) return response;
      await response.arrayBuffer().catch(() => undefined); // so that the connection is free again
      const pause = Number.isFinite(seconds) ? 1000 * seconds : pauseMs * 2 ** (attempt - 1);
      if (response.status === 429) waitUntil = Math.max(waitUntil, Date.now() + pause);
      else await sleep(pause);
    }
  };
}

/** Sends each request by way of the proxy that the environment names for its host, if it names one. */
class ProxiedDispatcher extends Dispatcher {
  readonly #agents = new Map<string, Dispatcher>();

  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandlers,
  ): boolean {
    return this.#agentFor(getProxyForUrl(String(options.origin))).dispatch(options, handler);
  }

  /** @param proxy empty: none */
  #agentFor(proxy: string): Dispatcher {
    const known = this.#agents.get(proxy);
    if (known) return known;
    const limits = { headersTimeout: answerMs, bodyTimeout: answerMs };
    const agent = proxy === '' ? new Agent(limits) : new ProxyAgent({ uri: proxy, ...limits });
    this.#agents.set(proxy, agent);
    return agent;
  }
}
