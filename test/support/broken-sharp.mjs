// For `node --import`: a sharp that can not be loaded, as where its binary is missing.
import { register } from 'node:module';

const hooks = `export const resolve = (name, context, next) => {
  if (name === 'sharp') throw new Error('Could not load the "sharp" module');
  return next(name, context);
};`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
