"use strict";
// a click on a head orders its table's rows by that column, a second click turns them round; empty cells stay last
const scale = { K: 1e3, M: 1e6, G: 1e9, T: 1e12 };
function number(text) {
  const found = text.replace(/\u2212/g, "-").replace(/,/g, "").match(/[-+]?\d+(\.\d+)?([KMGT](?![a-z]))?/);
  return found ? parseFloat(found[0]) * (scale[found[2]] || 1) : NaN;
}
function order(table, column, words, falling) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[column].textContent.trim();
  const compare = (one, other) => {
    const a = key(one), b = key(other);
    if (words) return (falling ? -1 : 1) * a.localeCompare(b, undefined, { numeric: true });
    const x = number(a), y = number(b);
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
    return falling ? y - x : x - y;
  };
  body.append(...Array.from(body.rows).sort(compare));
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.textContent = head.textContent.trim();
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const words = head.classList.contains("words");
      const before = head.getAttribute("aria-sort");
      const falling = before ? before === "ascending" : !words;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      order(table, column, words, falling);
    });
  });
}
