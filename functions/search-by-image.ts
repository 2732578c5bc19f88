import { createHandler } from '../lib/http/lambda.ts';
import { searchByImageRouter } from '../lib/http/routes/search-by-image.ts';

export const handler = createHandler(searchByImageRouter);
