declare module 'swagger-ui-dist/absolute-path.js' {
  /** The folder that holds swagger-ui's files. */
  const absolutePath: () => string;
  export default absolutePath;
}
