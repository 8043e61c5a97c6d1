//! Texts that are made to be expensive.

use duramen_syntax::{
    DURATION_HEIGHT_MAX, NESTING_DEPTH_MAX, TEXT_BYTES_MAX, TREE_HEIGHT_MAX, TREE_NODES_MAX, parse,
    prettify,
};

#[track_caller]
fn refused(text: &str, limit: &str) -> String {
    let error = parse(text).expect_err("refused");
    assert_eq!(error.limit(), Some(limit), "{error}");
    assert!(error.to_string().contains(limit), "{error}");

    error.to_string()
}

#[test]
fn a_text_over_the_limit_is_refused_with_both_numbers() {
    let error = refused(&(" ".repeat(TEXT_BYTES_MAX) + "1"), "text_bytes_max");
    assert_eq!(
        error,
        "1:1: parse error: query text is too long. text_bytes=`1048577`, text_bytes_max=`1048576`"
    );

    assert!(parse(&(" ".repeat(TEXT_BYTES_MAX - 1) + "1")).is_ok());
}

#[test]
fn brackets_nest_up_to_the_limit() {
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    let deepest = parse(&nested(NESTING_DEPTH_MAX)).expect("at the limit");

    assert_eq!(deepest.to_string(), nested(NESTING_DEPTH_MAX));

    let message = "1:501: parse error: brackets are nested too deeply. nesting_depth_max=`500`";
    for depth in [NESTING_DEPTH_MAX + 1, 10_000, 500_000] {
        assert_eq!(refused(&nested(depth), "nesting_depth_max"), message);
        assert_eq!(refused(&"(".repeat(depth), "nesting_depth_max"), message);
    }

    refused(&"sum(".repeat(10_000), "nesting_depth_max");
    refused(&format!("a[{}1", "(".repeat(10_000)), "nesting_depth_max");
}

#[test]
fn chains_of_generated_alerts_are_read() {
    let ones = vec!["1"; 5000].join("+");
    let selectors: Vec<String> = (0..5000).map(|at| format!("up{{i=\"{at}\"}}")).collect();

    for text in [ones, selectors.join(" or "), selectors.join(" + ")] {
        let expr = parse(&text).expect("read");
        assert_eq!(
            parse(&expr.to_string()).expect("printed").to_string(),
            expr.to_string()
        );
    }
}

#[test]
fn longer_chains_are_refused_and_need_no_stack() {
    let chain = |link: &str, bytes: usize| link.repeat(bytes / link.len() - 1) + "1";

    for link in ["1+", "1^", "a or ", "-a^", "+a*"] {
        for bytes in [100_000, TEXT_BYTES_MAX] {
            let error = parse(&chain(link, bytes)).expect_err("refused");
            assert!(
                matches!(error.limit(), Some("tree_height_max" | "tree_nodes_max")),
                "{error}"
            );
        }
    }

    // The signs of a number are folded into it.
    assert!(parse(&chain("-", 40_000)).is_ok());

    refused(&chain("-", TEXT_BYTES_MAX), "tree_nodes_max");
    refused(
        &("a[1".to_owned() + &"+1".repeat(30_000) + "]"),
        "duration_height_max",
    );

    refused(
        &("a[".to_owned() + &"-".repeat(30_000) + "step()]"),
        "duration_height_max",
    );

    refused(
        &("a".to_owned() + &"[1:]".repeat(20_000)),
        "tree_height_max",
    );

    let wide = format!("sort_by_label(a{})", ",\"b\"".repeat(TREE_NODES_MAX));
    refused(&wide, "tree_nodes_max");
}

#[test]
fn a_long_chain_that_goes_wrong_at_its_end_drops_what_was_read() {
    for link in ["a or ", "a ^ ", "-a * "] {
        assert!(parse(&(link.repeat(9000) + "a b")).is_err());
        assert!(parse(&(link.repeat(9000) + "\"a\"")).is_err());
    }
}

#[test]
fn a_chain_at_the_limit_prints_and_drops() {
    let text = "a".to_owned() + &" or a".repeat(TREE_HEIGHT_MAX - 1);
    let expr = parse(&text).expect("at the limit");

    assert_eq!(
        (expr.to_string(), expr.height()),
        (text.clone(), TREE_HEIGHT_MAX)
    );

    assert_eq!(expr.to_string(), text);
    assert!(parse(&(text + " or a")).is_err());

    // Each level is indented further, so the pretty form grows with the square of the height, and
    // is refused at its limit.
    assert!(
        prettify(&expr)
            .expect_err("too long")
            .to_string()
            .contains("laid_out_bytes_max=")
    );

    let shorter = parse(&vec!["a"; 600].join(" or ")).expect("read");
    let pretty = prettify(&shorter).expect("short enough");

    assert_eq!(
        pretty.lines().count(),
        2 * 600 - 1 - 2 * 19,
        "twenty fit a line"
    );

    assert_eq!(
        parse(&pretty).expect("laid out").to_string(),
        shorter.to_string()
    );
}

#[test]
fn what_is_at_the_limits_needs_half_the_stack_of_a_worker() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}a{}", open.repeat(depth), close.repeat(depth))
    };
    let texts = [
        nested("(", ")", NESTING_DEPTH_MAX),
        nested("abs(", ")", NESTING_DEPTH_MAX),
        nested("topk by (x) (1, ", ")", NESTING_DEPTH_MAX),
        nested("1 - (2 ^ ", ")", NESTING_DEPTH_MAX),
        nested("sum(rate((", ")[1h:1m]))", NESTING_DEPTH_MAX / 3),
        nested("1 ^ ", "", TREE_HEIGHT_MAX - 1),
        nested("-", "", TREE_HEIGHT_MAX - 1),
        nested("", " or on (x) a", TREE_HEIGHT_MAX - 1),
        format!(
            "a[{}1{}]",
            "(".repeat(NESTING_DEPTH_MAX - 1),
            ")".repeat(NESTING_DEPTH_MAX - 1)
        ),
        format!("a[1{}]", " + 1".repeat(DURATION_HEIGHT_MAX - 2)),
    ];

    let read_and_print = move || {
        for text in texts {
            let expr = parse(&text).expect("at the limits");
            assert_eq!(
                parse(&expr.to_string()).expect("printed").to_string(),
                expr.to_string()
            );

            let _ = prettify(&expr);
            assert_eq!(expr.clone().to_string(), expr.to_string());
        }
    };

    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(read_and_print)
        .expect("a thread")
        .join()
        .expect("no fault");
}
