import { run } from '../lib/http/run.ts';

void run();
