"""The whole service on one machine without docker: real engines as child processes, started and watched together."""
