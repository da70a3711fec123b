// Draws the pictures that pages describe in Mermaid's language. Without the library beside it they stay text.
if (window.mermaid) {
  for (const block of document.querySelectorAll(".highlight-mermaid")) {
    const picture = document.createElement("pre");
    picture.className = "mermaid";
    picture.textContent = block.textContent;
    block.replaceWith(picture);
  }
  window.mermaid.initialize({ startOnLoad: false });
  window.mermaid.run();
}
