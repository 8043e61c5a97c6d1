//! Texts that are built to be expensive.

use duramen_syntax::{NESTING_DEPTH_MAX, TEXT_BYTES_MAX, TREE_HEIGHT_MAX, parse, prettify};

fn refusal(text: &str) -> String {
    parse(text).expect_err("refused").to_string()
}

#[test]
fn a_text_over_the_limit_is_refused_with_both_numbers() {
    let text = " ".repeat(TEXT_BYTES_MAX) + "1";
    assert_eq!(refusal(&text), "1:1: parse error: query text is too long. text_bytes=`65537`, text_bytes_max=`65536`");
    assert!(parse(&(" ".repeat(TEXT_BYTES_MAX - 1) + "1")).is_ok());
}

#[test]
fn brackets_nest_up_to_the_limit() {
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    let deepest = parse(&nested(NESTING_DEPTH_MAX)).expect("at the limit");
    assert_eq!(deepest.to_string(), nested(NESTING_DEPTH_MAX));
    let message = "1:129: parse error: brackets are nested too deeply. nesting_depth_max=`128`";
    for depth in [NESTING_DEPTH_MAX + 1, 10_000, 30_000] {
        assert_eq!(refusal(&nested(depth)), message);
        assert_eq!(refusal(&"(".repeat(depth)), message);
    }
    assert!(refusal(&"sum(".repeat(10_000)).contains("nesting_depth_max"));
    assert!(refusal(&format!("a[{}1", "(".repeat(10_000))).contains("nesting_depth_max"));
}

#[test]
fn long_chains_are_bounded_and_need_no_stack() {
    for link in ["1+", "1^", "a or ", "-", "-a^", "+a*"] {
        let text = link.repeat(TEXT_BYTES_MAX / link.len() - 1) + "1";
        match parse(&text) {
            // Signs of a number fold into it.
            Ok(expr) => assert_eq!(link, "-", "{expr}"),
            Err(error) => assert!(error.to_string().contains("tree_height_max=`512`"), "{error}"),
        }
    }
    assert!(refusal(&("a[1".to_owned() + &"+1".repeat(30_000) + "]")).contains("tree_height_max"));
    assert!(refusal(&("a[".to_owned() + &"-".repeat(30_000) + "step()]")).contains("tree_height_max"));
    assert!(refusal(&("a".to_owned() + &"[1:]".repeat(10_000))).contains("tree_height_max"));
}

#[test]
fn a_chain_at_the_limit_prints_and_drops() {
    let text = "a".to_owned() + &" or a".repeat(TREE_HEIGHT_MAX - 1);
    let expr = parse(&text).expect("at the limit");
    assert_eq!(expr.to_string(), text);
    // Each level is indented further, so the pretty form is quadratic in the height.
    assert!(prettify(&expr).len() < TREE_HEIGHT_MAX * TREE_HEIGHT_MAX * 4);
    assert!(parse(&(text + " or a")).is_err());
}

#[test]
fn what_is_at_the_limits_needs_half_the_stack_of_a_worker() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}a{}", open.repeat(depth), close.repeat(depth));
    let texts = [
        nested("(", ")", NESTING_DEPTH_MAX),
        nested("abs(", ")", NESTING_DEPTH_MAX),
        nested("topk by (x) (1, ", ")", NESTING_DEPTH_MAX),
        nested("1 - (2 ^ ", ")", NESTING_DEPTH_MAX),
        nested("sum(rate((", ")[1h:1m]))", NESTING_DEPTH_MAX / 3),
        nested("1 ^ ", "", TREE_HEIGHT_MAX - 1),
        nested("-", "", TREE_HEIGHT_MAX - 1),
        nested("", " or on (x) a", TREE_HEIGHT_MAX - 1),
        format!("a[{}1{}]", "(".repeat(NESTING_DEPTH_MAX - 1), ")".repeat(NESTING_DEPTH_MAX - 1)),
        format!("a[1{}]", " + 1".repeat(TREE_HEIGHT_MAX - 2)),
    ];
    let read_and_print = move || {
        for text in texts {
            let expr = parse(&text).expect("at the limits");
            assert_eq!(parse(&expr.to_string()).expect("printed").to_string(), expr.to_string());
            assert!(!prettify(&expr).is_empty());
            assert_eq!(expr.clone(), expr);
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(read_and_print).expect("a thread").join().expect("no fault");
}
