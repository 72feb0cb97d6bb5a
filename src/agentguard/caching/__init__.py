"""What `cache(...)` decides with.

Read in this order:

- `key`: what makes two requests one. `canonical`, `objects`, `callables`: the forms of arguments;
  `fingerprint`, `code`: of the function itself; `beside`, `headers`: what does not count; `asked`:
  the last thing a user said.
- `answers`: answers as bytes and back. `types`, `wanted`, `layouts`, `parts`: of their classes;
  `recording`: of a stream's items; `worth`: which are worth keeping.
- `asking`: one call, answered from what is kept, by a call under way, or anew; `fetching`: the call
  that is made for all; `piecewise`: a call answered item by item.
- `flight`, `tee`, `recording`, `sharing`: callers at the same moment, of answers, streams and
  failures.
- `fresh`, `replay`, `blocks`, `counts`, `priced`: time, kept streams, stepping aside, figures.
- `questions`, `semantic`: questions that were asked before in other words.
"""
