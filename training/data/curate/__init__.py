"""Curation of pictures that have no boxes: segment, keep what is salient, caption it (figure 2 of the PS3 paper). See docs/curation.md."""
