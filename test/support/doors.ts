import { request } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root, type TestRequest, type TestResponse } from './requests.ts';

/** A way to send a request to the service: over HTTP or as a Lambda event. */
export type Door = (request: TestRequest) => Promise<TestResponse>;

/** A real request to a real server. */
export const httpDoor =
  (url: string): Door =>
  ({ method, path, headers, body }) =>
    new Promise((resolve, reject) => {
      // not fetch, which adds `Cache-Control: no-cache` to conditional requests
      const sending = request(url + path, { method, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('error', reject);
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Record<string, string>,
            body: Buffer.concat(chunks),
          });
        });
      });
      sending.on('error', reject);
      sending.end(body);
    });

type Handler = (event: object, context: object) => Promise<LambdaResult>;

interface LambdaResult {
  statusCode: number;
  headers?: Record<string, string>;
  multiValueHeaders?: Record<string, string[]>;
  body: string;
  isBase64Encoded: boolean;
}

/** The built bundle that handles a path, matching the API gateway's routes. */
const bundleFor = (path: string): string => {
  const { pathname } = new URL(path, 'http://localhost');
  if (pathname.startsWith('/api/search-by-')) return pathname.slice('/api/'.length);
  if (pathname.startsWith('/api/image/')) return 'image';
  if (pathname === '/api/uploads') return 'uploads';
  if (/^\/api\/(albums|suggest)(\/|$)/.test(pathname)) return 'albums';
  if (pathname.startsWith('/api/')) return 'stats';
  return pathname === '/health' || pathname === '/ready' ? 'health' : 'root';
};

const require = createRequire(import.meta.url);

/** The handler of a built bundle, which reads the environment when first loaded. */
export const builtHandler = (name: string): Handler =>
  (require(join(root, 'dist', 'functions', `${name}.cjs`)) as { handler: Handler }).handler;

const isText = (headers: Record<string, string>) =>
  /^(text\/|application\/json)/.test(headers['content-type'] ?? 'text/plain');

const encodedBody = ({ headers = {}, body }: TestRequest) =>
  body
    ? {
        body: body.toString(isText(headers) ? 'utf8' : 'base64'),
        isBase64Encoded: !isText(headers),
      }
    : { body: undefined, isBase64Encoded: false };

type ToEvent = (request: TestRequest) => object;

/** API Gateway's HTTP API, payload format 2.0. */
const httpApiEvent: ToEvent = (request) => {
  const url = new URL(request.path, 'http://localhost');
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    headers: { host: 'api.example.org', ...request.headers },
    queryStringParameters: Object.fromEntries(url.searchParams),
    requestContext: {
      accountId: '123456789012',
      apiId: 'abc',
      domainName: 'api.example.org',
      http: {
        method: request.method,
        path: url.pathname,
        protocol: 'HTTP/1.1',
        sourceIp: '192.0.2.1',
        userAgent: 'test',
      },
      requestId: 'v2-request-id',
      stage: '$default',
    },
    ...encodedBody(request),
  };
};

/** A function URL: format 2.0, with a different domain and context. */
const functionUrlEvent: ToEvent = (request) => {
  const event = httpApiEvent(request) as { requestContext: object };
  return {
    ...event,
    requestContext: {
      ...event.requestContext,
      accountId: 'anonymous',
      apiId: 'urlid',
      domainName: 'urlid.lambda-url.eu-west-3.on.aws',
      requestId: 'url-request-id',
    },
  };
};

/** API Gateway's REST API, payload format 1.0. */
const restApiEvent: ToEvent = (request) => {
  const url = new URL(request.path, 'http://localhost');
  const multi: Record<string, string[]> = {};
  for (const [name, value] of url.searchParams) (multi[name] ??= []).push(value);
  const headers: Record<string, string> = { Host: 'api.example.org', ...request.headers };
  return {
    resource: '/{proxy+}',
    path: decodeURIComponent(url.pathname),
    httpMethod: request.method,
    headers,
    multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, [v]])),
    queryStringParameters: url.search ? Object.fromEntries(url.searchParams) : null,
    multiValueQueryStringParameters: url.search ? multi : null,
    requestContext: {
      accountId: '123456789012',
      apiId: 'abc',
      httpMethod: request.method,
      identity: { sourceIp: '192.0.2.1', userAgent: 'test' },
      path: `/prod${url.pathname}`,
      protocol: 'HTTP/1.1',
      requestId: 'v1-request-id',
      stage: 'prod',
    },
    ...encodedBody(request),
  };
};

/** Query values as an Application Load Balancer passes them: still encoded, as the client sent them. */
const rawQuery = (url: URL): [name: string, value: string][] =>
  url.search
    .slice(1)
    .split('&')
    .filter(Boolean)
    .map((pair) => {
      const [name = '', value = ''] = pair.split('=');
      return [name, value];
    });

/** An Application Load Balancer whose target group has multi-value headers enabled. */
const loadBalancerEvent: ToEvent = (request) => {
  const url = new URL(request.path, 'http://localhost');
  const headers = { host: 'api.example.org', 'x-forwarded-for': '192.0.2.1', ...request.headers };
  const query: Record<string, string[]> = {};
  for (const [name, value] of rawQuery(url)) (query[name] ??= []).push(value);
  return {
    requestContext: { elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-west-3:1:t/a/b' } },
    httpMethod: request.method,
    path: url.pathname,
    multiValueQueryStringParameters: query,
    multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, [v]])),
    ...encodedBody(request),
  };
};

/** The same without multi-value headers: of a repeated name, only the last value remains. */
export const plainLoadBalancerEvent: ToEvent = (request) => {
  const { multiValueHeaders, multiValueQueryStringParameters, ...event } = loadBalancerEvent(
    request,
  ) as Record<string, Record<string, string[]>>;
  const last = (values: Record<string, string[]> = {}) =>
    Object.fromEntries(Object.entries(values).map(([name, list]) => [name, list.at(-1)]));
  return {
    ...event,
    headers: last(multiValueHeaders),
    queryStringParameters: last(multiValueQueryStringParameters),
  };
};

/** The built bundle of the endpoint, invoked with an event of the given kind. */
export const lambdaDoor =
  (toEvent: ToEvent): Door =>
  async (request) => {
    const handler = builtHandler(bundleFor(request.path));
    const event = JSON.parse(JSON.stringify(toEvent(request))) as object;
    const result = await handler(event, { awsRequestId: 'test' });
    return {
      status: result.statusCode,
      headers: {
        ...Object.fromEntries(
          Object.entries(result.multiValueHeaders ?? {}).map(([name, list]) => [
            name,
            list.join(', '),
          ]),
        ),
        ...result.headers,
      },
      body: Buffer.from(result.body, result.isBase64Encoded ? 'base64' : 'utf8'),
    };
  };

export const lambdaDoors: Record<string, Door> = {
  'API Gateway HTTP API (v2) event': lambdaDoor(httpApiEvent),
  'API Gateway REST (v1) event': lambdaDoor(restApiEvent),
  'function URL event': lambdaDoor(functionUrlEvent),
  'load balancer event': lambdaDoor(loadBalancerEvent),
};
