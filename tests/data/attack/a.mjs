// {
export function total(items, start = 0) {
  let t = start;
  for (const item of items) {
    if (item > 3) {
      t += item;
    }
  }
  return t;
}
export class Box {
  constructor(rows) {
    this.rows = rows;
  }
  size(extra) {
    return this.rows.length + extra;
  }
}
export const text = (s) => {
  return `${s}}`;
};
