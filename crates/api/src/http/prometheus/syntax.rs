//! The routes `format_query` and `parse_query`: a query in several lines, and its syntax tree.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use duramen_syntax::Expr;
use duramen_syntax::ast::{
    At, Cardinality, DurationExpr, DurationKind, Grouping, LabelMatcher, OffsetSpec,
    VectorMatching, VectorSelector,
};
use duramen_syntax::functions::{FunctionSig, Variadic};
use serde_json::{Value as Json, json};

use crate::http::answer::envelope::success;
use crate::http::answer::failure::Failure;
use crate::http::prometheus::query::asked;
use crate::http::request::form::Params;
use crate::http::request::tenant::Tenant;
use crate::http::roles::state::querier::QuerierState;

/// The stack that the largest kind of node needs where JSON is made, written and dropped by
/// recursion.
const NODE_STACK_BYTES: usize = if cfg!(debug_assertions) {
    32 << 10
} else {
    8 << 10
};

pub(crate) async fn format(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let laid_out = state
        .querier
        .with_tree(&tenant, &asked(&params), duramen_syntax::prettify)
        .await?;

    let laid_out = laid_out.map_err(|error| Failure::parameter("query", error))?;
    Ok(success(&laid_out.into(), &[]))
}

pub(crate) async fn tree(
    State(state): State<Arc<QuerierState>>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, Failure> {
    let answer = |expr: &Expr| {
        let stack_bytes = (1 + expr.height()) * NODE_STACK_BYTES;
        stacker::maybe_grow(stack_bytes, stack_bytes, || success(&node(expr), &[]))
    };

    Ok(state
        .querier
        .with_tree(&tenant, &asked(&params), answer)
        .await?)
}

/// Returns a node in the form that Prometheus's page reads. Durations are in milliseconds, and 0 if
/// they depend on the query's range.
fn node(expr: &Expr) -> Json {
    match expr {
        Expr::Number { value, .. } => json!({ "type": "numberLiteral", "val": number(*value) }),
        Expr::String { value, .. } => json!({ "type": "stringLiteral", "val": value }),
        Expr::VectorSelector(selector) => selected("vectorSelector", selector),
        Expr::MatrixSelector {
            selector, range, ..
        } => {
            let mut node = selected("matrixSelector", selector);
            node["range"] = duration_ms(range).into();
            node
        }
        Expr::Subquery {
            expr,
            range,
            step,
            offset,
            at,
            ..
        } => json!({
            "type": "subquery",
            "expr": node(expr),
            "range": duration_ms(range),
            "step": step.as_ref().map_or(0, duration_ms),
            "offset": offset_ms(offset),
            "timestamp": timestamp(*at),
            "startOrEnd": start_or_end(*at),
        }),
        Expr::Call { func, args, .. } => {
            json!({ "type": "call", "func": signature(func), "args": args.iter().map(node).collect::<Json>() })
        }
        Expr::Aggregate {
            op,
            grouping,
            param,
            expr,
            ..
        } => json!({
            "type": "aggregation",
            "op": op.as_str(),
            "expr": node(expr),
            "param": param.as_deref().map(node),
            "grouping": grouping.as_ref().map_or(&[][..], group_labels),
            "without": matches!(grouping, Some(Grouping::Without(_))),
        }),
        Expr::Binary {
            op,
            lhs,
            rhs,
            return_bool,
            matching: how,
            ..
        } => json!({
            "type": "binaryExpr",
            "op": op.as_str(),
            "lhs": node(lhs),
            "rhs": node(rhs),
            "matching": how.as_ref().map(matching),
            "bool": return_bool,
        }),
        Expr::Unary { op, expr, .. } => {
            json!({ "type": "unaryExpr", "op": op.as_str(), "expr": node(expr) })
        }
        Expr::Paren { expr, .. } => json!({ "type": "parenExpr", "expr": node(expr) }),
    }
}

fn selected(kind: &str, selector: &VectorSelector) -> Json {
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or(""),
        "matchers": selector.matchers.iter().map(matcher).collect::<Json>(),
        "offset": offset_ms(&selector.offset),
        "timestamp": timestamp(selector.at),
        "startOrEnd": start_or_end(selector.at),
        "anchored": selector.anchored,
        "smoothed": selector.smoothed,
    })
}

fn matcher(matcher: &LabelMatcher) -> Json {
    json!({ "name": matcher.name, "value": matcher.value, "type": matcher.op.as_str() })
}

fn signature(function: &FunctionSig) -> Json {
    let variadic = match function.variadic {
        Variadic::Fixed => 0,
        Variadic::Up(more) => i64::try_from(more).unwrap_or(i64::MAX),
        Variadic::Any => -1,
    };

    json!({
        "name": function.name,
        "argTypes": function.args.iter().map(|of| of.as_str()).collect::<Json>(),
        "variadic": variadic,
        "returnType": function.returns.as_str(),
    })
}

fn group_labels(grouping: &Grouping) -> &[String] {
    match grouping {
        Grouping::By(names) | Grouping::Without(names) => names,
    }
}

fn matching(matching: &VectorMatching) -> Json {
    let card = match matching.card {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };

    json!({
        "card": card,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
    })
}

/// Prints a number in Go's shortest form without an exponent.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else {
        value.to_string().replace("-inf", "-Inf")
    }
}

fn duration_ms(duration: &DurationExpr) -> i64 {
    match duration.kind {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates; the parser refused what is longer"
        )]
        DurationKind::Literal { seconds, .. } => (seconds * 1000.0).round() as i64,
        DurationKind::Step
        | DurationKind::Range
        | DurationKind::Unary { .. }
        | DurationKind::Binary { .. } => 0,
    }
}

fn offset_ms(offset: &OffsetSpec) -> i64 {
    match offset {
        OffsetSpec::Ms(ms) => *ms,
        OffsetSpec::Expr(_) => 0,
    }
}

fn timestamp(at: Option<At>) -> Option<i64> {
    match at? {
        At::TimestampMs(ms) => Some(ms),
        At::Start | At::End => None,
    }
}

fn start_or_end(at: Option<At>) -> Option<&'static str> {
    match at? {
        At::TimestampMs(_) => None,
        At::Start => Some("start"),
        At::End => Some("end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Json) {
        assert_eq!(
            &node(&duramen_syntax::parse(text).unwrap()),
            expected,
            "{text}"
        );
    }

    fn name(value: &str) -> Json {
        json!({ "name": "__name__", "value": value, "type": "=" })
    }

    fn vector(of: &str) -> Json {
        json!({
            "type": "vectorSelector", "name": of, "matchers": [name(of)], "offset": 0, "timestamp": null, "startOrEnd": null,
            "anchored": false, "smoothed": false,
        })
    }

    #[test]
    fn selectors_tell_their_matchers_and_their_times() {
        check("up", &vector("up"));

        let mut selector = vector("up");
        selector["matchers"] = json!([{ "name": "job", "value": "a|b", "type": "!~" }, name("up")]);
        selector["offset"] = json!(-300_000);
        selector["timestamp"] = json!(1500);
        check("up{job!~\"a|b\"} @ 1.5 offset -5m", &selector);

        let mut matrix = vector("up");
        matrix["type"] = json!("matrixSelector");
        matrix["range"] = json!(90_000);
        matrix["startOrEnd"] = json!("end");
        matrix["anchored"] = json!(true);
        check("up[90s] anchored @ end()", &matrix);

        let mut nameless = vector("up");
        nameless["name"] = json!("");
        check("{\"up\"}", &nameless);

        let subquery = json!({
            "type": "subquery", "expr": vector("up"), "range": 3_600_000, "step": 0, "offset": 60_000, "timestamp": null, "startOrEnd": null,
        });
        check("up[1h:] offset 1m", &subquery);
    }

    #[test]
    fn calls_and_aggregations_tell_their_signature_and_their_groups() {
        let func = json!({ "name": "round", "argTypes": ["vector", "scalar"], "variadic": 1, "returnType": "vector" });
        let five = json!({ "type": "numberLiteral", "val": "5" });
        check(
            "round(up, 5)",
            &json!({ "type": "call", "func": func, "args": [vector("up"), five] }),
        );

        let func = json!({ "name": "time", "argTypes": [], "variadic": 0, "returnType": "scalar" });
        check(
            "time()",
            &json!({ "type": "call", "func": func, "args": [] }),
        );

        let sum = json!({
            "type": "aggregation", "op": "sum", "expr": vector("up"), "param": null, "grouping": [], "without": false,
        });
        check("sum(up)", &sum);

        let topk = json!({
            "type": "aggregation", "op": "topk", "expr": vector("up"), "param": five, "grouping": ["a"], "without": true,
        });
        check("topk without (a) (5, up)", &topk);
    }

    #[test]
    fn operations_tell_how_their_sides_match() {
        let binary = |op: &str, matching: Json, is_bool: bool| {
            json!({
                "type": "binaryExpr", "op": op, "lhs": vector("a"), "rhs": vector("b"), "matching": matching, "bool": is_bool,
            })
        };

        let fill = |lhs: Json, rhs: Json| json!({ "lhs": lhs, "rhs": rhs });
        let one_to_one = json!({
            "card": "one-to-one", "labels": [], "on": false, "include": [], "fillValues": fill(Json::Null, Json::Null),
        });
        check("a == bool b", &binary("==", one_to_one, true));

        let many_to_one = json!({
            "card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"], "fillValues": fill(Json::Null, 0.0.into()),
        });
        check(
            "a + on (x) group_left (y) fill_right (0) b",
            &binary("+", many_to_one, false),
        );

        let set = json!({
            "card": "many-to-many", "labels": [], "on": false, "include": [], "fillValues": fill(Json::Null, Json::Null),
        });
        check("a unless b", &binary("unless", set, false));

        let scalars = json!({
            "type": "binaryExpr", "op": "^", "matching": null, "bool": false,
            "lhs": { "type": "numberLiteral", "val": "1000000000000000000000" }, "rhs": { "type": "numberLiteral", "val": "-Inf" },
        });

        check("1e21 ^ -Inf", &scalars);
        check(
            "-a",
            &json!({ "type": "unaryExpr", "op": "-", "expr": vector("a") }),
        );

        check(
            "(\"a\")",
            &json!({ "type": "parenExpr", "expr": { "type": "stringLiteral", "val": "a" } }),
        );
    }
}
