// Ends with status 0 where the server of this container says that it is ready, or still loads; for HEALTHCHECK.
const port = process.env.PORT || 7860;
try {
  const response = await fetch(`http://127.0.0.1:${port}/health`, {
    signal: AbortSignal.timeout(4_000),
  });
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
