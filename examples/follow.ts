// Follow a run: API=http://127.0.0.1:8000 TOKEN=... node follow.ts RUN_ID FILE
// Kill it at any time and run it again: the last line of FILE tells where to continue.
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { client, streamRunEvents } from 'agent-api-client';

const [run_id, file] = process.argv.slice(2) as [string, string];
client.setConfig({ baseUrl: process.env.API!, auth: process.env.TOKEN! });
appendFileSync(file, '');
let [after, type] = (readFileSync(file, 'utf8').split('\n').at(-2) ?? '0').split(' ');
while (type !== 'run.ended') {
  const { stream } = await streamRunEvents({
    path: { run_id },
    query: { format: 'message', after: Number(after) },
    sseMaxRetryAttempts: 1, // it would repeat a 404, too
    onSseError: (error) => {
      if (/failed: 4(?!29)/.test(String(error))) throw error;
      console.error(String(error));
    },
  });
  for await (const event of stream) {
    appendFileSync(file, `${event.sequence} ${event.type} ${JSON.stringify(event.data)}\n`);
    after = String(event.sequence);
    type = event.type;
  }
  await setTimeout(1000);
}
