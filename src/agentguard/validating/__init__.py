"""What `validate_input` and `validate_output` judge by: JSON in texts, types, schemas, requests.

- `json_in_text`: the JSON values in what a model wrote.
- `kinds`: what a value must be: a type, a JSON schema, a predicate.
- `reasons`: what pydantic found wrong, without quoting what it looked at.
- `answers`: one answer held against what it must be.
- `parameters`: bounds on a request's model and settings.
"""
