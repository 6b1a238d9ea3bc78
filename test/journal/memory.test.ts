import { describe } from 'vitest';
import { MemoryJournal } from '../../src/journal/memory.js';
import { journalContract } from './contract.js';

describe('the memory journal', () => {
  journalContract(async () => new MemoryJournal());
});
