import { createHandler } from '../lib/http/lambda.ts';
import { rootRouter } from '../lib/http/routes/root.ts';

export const handler = createHandler(rootRouter);
