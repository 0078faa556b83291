// Long names in the sidebar and in tables break after an underscore, a dot or a bracket.
document.addEventListener("DOMContentLoaded", () => {
  for (const each of document.querySelectorAll(".bd-links a, .bd-article td code .pre")) {
    if (each.children.length === 0) {
      each.innerHTML = each.innerHTML.replace(/([_.(])(?=\w)/g, "$1<wbr>");
    }
  }
});
