import { createHandler } from '../lib/http/lambda.ts';
import { pageRouter } from '../lib/http/routes/page.ts';
import { rootRouter } from '../lib/http/routes/root.ts';

export const handler = createHandler(pageRouter, rootRouter);
