import { createHandler } from '../lib/http/lambda.ts';
import { statsRouter } from '../lib/http/routes/stats.ts';

export const handler = createHandler(statsRouter);
