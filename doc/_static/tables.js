// On phones each row of a table is a list (site.css), in which cells carry the name of their column.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.docutils, table.table")) {
    const names = [...table.querySelectorAll("thead tr:last-child th")].map((th) => th.textContent);
    if (names.length < 2) continue;
    table.classList.add("rows-as-lists");
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.children].forEach((cell, j) => {
        if (cell.textContent.trim()) cell.setAttribute("data-column", names[j] || "");
      });
    }
  }
});
