// A click on a column's title sorts its table: upwards first, then downwards; missing figures stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const key = (row) => {
      const text = row.cells[at].textContent.trim();
      return head.classList.contains("num") ? parseFloat(text.replace(/[<,]/g, "")) : text;
    };
    const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, "en", {numeric: true}) : a - b;
    button.addEventListener("click", () => {
      const way = head.ariaSort === "ascending" ? -1 : 1;
      const rows = [...body.rows].map((row) => [key(row), row]);
      rows.sort(([a], [b]) => Number.isNaN(a) - Number.isNaN(b) || way * compare(a, b));
      heads.forEach((other) => { other.ariaSort = null; });
      head.ariaSort = way === 1 ? "ascending" : "descending";
      body.append(...rows.map(([, row]) => row));
    });
  });
}
