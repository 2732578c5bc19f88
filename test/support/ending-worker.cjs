// Loaded by `node --require` into the server and its workers. Makes a worker end when it is about to return a result,
// as often as the file named by ENDING says.
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const { isMainThread, MessagePort } = require('node:worker_threads');

const file = process.env.ENDING;
if (!isMainThread && file) {
  if (existsSync(`${file}.start`)) throw new Error('made to fail at its start');
  const { postMessage } = MessagePort.prototype;
  MessagePort.prototype.postMessage = function (message, ...more) {
    if (message?.taskId !== undefined && Array.isArray(message.result) && existsSync(file)) {
      const { times, how } = JSON.parse(readFileSync(file, 'utf8'));
      if (times > 0) {
        writeFileSync(file, JSON.stringify({ times: times - 1, how }));
        if (how === 'exit') process.exit(1);
        if (how === 'throw')
          setImmediate(() => {
            throw new Error('made to fail');
          });
        if (how === 'memory')
          for (const kept = []; ;) kept.push(new Array(1e5).fill(Math.random()));
        return;
      }
    }
    postMessage.call(this, message, ...more);
  };
}
