import { createHandler } from '../lib/http/lambda.ts';
import { searchByTextRouter } from '../lib/http/routes/search-by-text.ts';

export const handler = createHandler(searchByTextRouter);
