import { createHandler } from '../lib/http/lambda.ts';
import { healthRouter } from '../lib/http/routes/health.ts';

export const handler = createHandler(healthRouter);
