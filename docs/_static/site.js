// Long names in the sidebar break after an underscore or a dot.
document.addEventListener("DOMContentLoaded", () => {
  for (const link of document.querySelectorAll(".bd-links a")) {
    if (link.children.length === 0) {
      link.innerHTML = link.innerHTML.replace(/([_.])(?=\w)/g, "$1<wbr>");
    }
  }
});
