import { createHandler } from '../lib/http/lambda.ts';
import { imageRouter } from '../lib/http/routes/image.ts';

export const handler = createHandler(imageRouter);
