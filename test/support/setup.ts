/** Runs before each file of tests, and sets the hooks that support modules rely on. */
import { afterAll, afterEach } from 'vitest';
import { endFile, endTest } from './endings.js';

afterEach(endTest);
afterAll(endFile);
