//! The OpenAPI document, made from the table of routes.

pub(crate) mod schemas;
mod yaml;

use schemas::Schema;
use serde_json::{Map, Value as Json, json};

use crate::http::docs::endpoint::{Answer, Description, Kind, Parameter};

/// Returns the document that describes `table`, as YAML.
pub(crate) fn yaml(table: &[Description]) -> String {
    yaml::to_yaml(&document(table))
}

fn document(table: &[Description]) -> Json {
    let paths: Map<String, Json> = table
        .iter()
        .map(|endpoint| (endpoint.path.to_owned(), path_item(endpoint)))
        .collect();

    let mut schemas: Map<String, Json> = Schema::ALL
        .iter()
        .map(|schema| (schema.name(), schema.json()))
        .collect();

    schemas.insert("Error".to_owned(), schemas::error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Duramen",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The HTTP API of Prometheus, and what Duramen adds. Everything is also served under /prometheus and /api/prom.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": { "Tenant": tenant() },
            "responses": {
                "Error": answer("The error, in the envelope.", "application/json", &json!({ "$ref": "#/components/schemas/Error" })),
                "PlainError": answer("The error, as text.", "text/plain", &json!({ "type": "string" })),
            },
        },
    })
}

fn path_item(endpoint: &Description) -> Json {
    let operations = endpoint
        .methods
        .iter()
        .map(|method| ((*method).to_owned(), operation(endpoint, method)));

    operations.collect::<Map<_, _>>().into()
}

fn operation(endpoint: &Description, method: &str) -> Json {
    let takes_form = method == "post" && endpoint.methods.contains(&"get");
    let in_url = if takes_form { &[] } else { endpoint.parameters };
    let mut parameters: Vec<Json> = path_parameters(endpoint.path).collect();

    parameters.extend(in_url.iter().map(url_parameter));
    if !matches!(
        endpoint.answer,
        Answer::Raw(_) | Answer::Json(_) | Answer::Absent(_)
    ) {
        parameters.push(json!({ "$ref": "#/components/parameters/Tenant" }));
    }

    let mut operation = json!({
        "operationId": operation_id(endpoint.path, method),
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": responses(endpoint.answer),
    });

    let body = endpoint.body.map(|media_type| (media_type, json!({})));
    if let Some((media_type, schema)) =
        body.or_else(|| takes_form.then(|| (FORM, form(endpoint.parameters))))
    {
        operation["requestBody"] =
            json!({ "required": true, "content": { media_type: { "schema": schema } } });
    }

    operation
}

/// The media type of this document.
pub(crate) const YAML: &str = "application/yaml";
const FORM: &str = "application/x-www-form-urlencoded";

/// Returns the id of an operation, such as `get_api_v1_label_name_values` or `get_-_ready`.
fn operation_id(path: &str, method: &str) -> String {
    let words = path
        .split(['/', '{', '}', '.'])
        .filter(|word| !word.is_empty());
    std::iter::once(method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

fn path_parameters(path: &str) -> impl Iterator<Item = Json> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(
        |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }),
    )
}

fn url_parameter(parameter: &Parameter) -> Json {
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.about,
        "schema": parameter_schema(parameter.kind),
    })
}

fn form(parameters: &[Parameter]) -> Json {
    let described = |parameter: &Parameter| {
        let mut schema = parameter_schema(parameter.kind);
        schema["description"] = parameter.about.into();
        (parameter.name.to_owned(), schema)
    };

    let required: Vec<&str> = parameters
        .iter()
        .filter(|p| p.is_required)
        .map(|p| p.name)
        .collect();

    json!({ "type": "object", "properties": parameters.iter().map(described).collect::<Map<_, _>>(), "required": required })
}

fn parameter_schema(kind: Kind) -> Json {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Query => {
            json!({ "type": "string", "examples": ["sum by (job) (rate(process_cpu_seconds_total[5m]))"] })
        }
        Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
        Kind::Time => {
            json!({ "anyOf": [{ "type": "number" }, { "type": "string", "format": "date-time" }], "examples": [1_700_000_000] })
        }
        Kind::Duration => {
            json!({ "anyOf": [{ "type": "number" }, { "type": "string" }], "examples": ["1h30m"] })
        }
        Kind::Integer { min } => json!({ "type": "integer", "minimum": min }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Selectors => {
            json!({ "type": "array", "items": { "type": "string" }, "examples": [["up"]] })
        }
    }
}

fn tenant() -> Json {
    json!({
        "name": "X-Scope-OrgID",
        "in": "header",
        "required": false,
        "description": "The tenant. Required if multi-tenancy is on, and ignored otherwise.",
        "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,150}$" },
    })
}

fn responses(of: Answer) -> Json {
    let error = json!({ "$ref": "#/components/responses/Error" });
    let plain_error = json!({ "$ref": "#/components/responses/PlainError" });
    let nothing = json!({ "description": "Done; no body." });
    let empty = json!({ "description": "Nothing to look for; no body." });

    let enveloped = |schema: Schema| {
        answer(
            "The answer.",
            "application/json",
            &schemas::envelope(&schema.reference()),
        )
    };

    match of {
        Answer::Data(schema) => json!({ "200": enveloped(schema), "default": error }),
        Answer::DataOrNothing(schema) => {
            json!({ "200": enveloped(schema), "204": empty, "default": error })
        }
        Answer::DataOrText(schema) => {
            let mut either = enveloped(schema);
            either["content"]["text/plain"] = json!({ "schema": { "type": "string" } });
            json!({ "200": either, "default": error })
        }
        Answer::Json(schema) => {
            json!({ "200": answer("The answer.", "application/json", &schema.reference()), "default": error })
        }
        // A client parses YAML to a value that is not a text.
        Answer::Raw(YAML) => {
            json!({ "200": answer("The answer.", YAML, &json!({})), "default": plain_error })
        }
        Answer::Raw(media_type) => {
            json!({ "200": answer("The answer.", media_type, &json!({ "type": "string" })), "default": plain_error })
        }
        Answer::Nothing => json!({ "204": nothing, "default": error }),
        Answer::Accepted => json!({ "204": nothing, "default": plain_error }),
        Answer::Absent(code) => json!({ code.to_string(): error, "default": error }),
    }
}

fn answer(about: &str, media_type: &str, schema: &Json) -> Json {
    json!({ "description": about, "content": { media_type: { "schema": schema } } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::routes;

    /// Calls `visit` with every `$ref` below.
    fn references<'a>(json: &'a Json, visit: &mut impl FnMut(&'a str)) {
        match json {
            Json::Object(members) => {
                members
                    .get("$ref")
                    .and_then(Json::as_str)
                    .into_iter()
                    .for_each(&mut *visit);

                members
                    .values()
                    .for_each(|member| references(member, visit));
            }
            Json::Array(elements) => elements
                .iter()
                .for_each(|element| references(element, visit)),
            _ => {}
        }
    }

    #[test]
    fn each_operation_has_a_name_of_its_own_and_a_summary() {
        let document = document(&routes::descriptions());
        let mut ids = BTreeSet::new();

        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(
                    ids.insert(operation["operationId"].to_string()),
                    "{path} {method}"
                );

                assert!(
                    operation["summary"]
                        .as_str()
                        .is_some_and(|summary| summary.ends_with('.')),
                    "{path}"
                );
            }
        }

        assert_eq!(
            document["paths"].as_object().unwrap().len(),
            routes::descriptions().len(),
            "a path stands twice"
        );
    }

    #[test]
    fn each_reference_leads_somewhere_and_each_schema_is_used() {
        let document = document(&routes::descriptions());
        let mut used = BTreeSet::new();

        references(&document, &mut |reference| {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");

            used.insert(reference);
        });

        for name in document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(
                used.contains(&*format!("#/components/schemas/{name}")),
                "nothing is a {name}"
            );
        }
    }
}
