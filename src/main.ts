/** The process of `npm start`: the service with the settings of the environment. Imported by nobody. */
import { explainFailure, runService } from './run.js';

runService(process.env).catch((error: unknown) => {
  process.stderr.write(`${explainFailure(error)}\n`);
  process.exit(1);
});
