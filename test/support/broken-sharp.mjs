// For `node --import`: makes loading sharp fail, as if its binary were missing.
import { register } from 'node:module';

const hooks = `export const resolve = (name, context, next) => {
  if (name === 'sharp') throw new Error('Could not load the "sharp" module');
  return next(name, context);
};`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
