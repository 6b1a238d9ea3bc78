/** A stable spread of ids over so many places (FNV-1a): the same id has the same place everywhere. */
export function spread(id: string, places: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % places;
}
