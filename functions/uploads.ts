import { createHandler } from '../lib/http/lambda.ts';
import { uploadsRouter } from '../lib/http/routes/uploads.ts';

export const handler = createHandler(uploadsRouter);
