//! Files that mean harm are refused, soon and with a reason.

use super::refused;

#[track_caller]
fn check(text: &str, expect: &str) {
    let said = refused(text);
    assert!(said.contains(expect), "gave\n{said}");
    assert!(said.len() < 500_000, "{} bytes are said", said.len());
}

#[test]
fn aliases() {
    let first = "x0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    let line = |n: usize| format!("x{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "));
    check(&(first + &(1..12).map(line).collect::<Vec<_>>().concat()), "unfolds to more than 32 MiB");
    check("services: &a {b: *a}", "inside of what it stands for");
}

#[test]
fn depth() {
    check(&"[".repeat(100_000), "no YAML");
    check(&("a: ".to_owned() + &"{b: ".repeat(70) + &"}".repeat(70)), "64 levels deep");
}

#[test]
fn length() {
    check(&format!("services: {{a: {{image: {}}}}}", "x".repeat(5 << 20)), "longer than 4 MiB");
    let many = (0..5000).map(|n| format!("\"{n}\", ")).collect::<Vec<_>>().concat();
    check(&format!("services: {{a: {{image: x, expose: [{many}]}}}}"), "more than 4096 items");
}

#[test]
fn extended_again_and_again() {
    let ports = (1..4000).map(|n| format!("\"{n}:{n}\", ")).collect::<Vec<_>>().concat();
    let others = (0..1000).map(|n| format!("  s{n}: {{extends: b}}\n")).collect::<Vec<_>>().concat();
    check(&format!("services:\n  b: {{image: x, ports: [{ports}]}}\n{others}"), "unfold to more than 32 MiB");
    let chain = (0..100).map(|n| format!("  s{n}: {{extends: s{}}}\n", n + 1)).collect::<Vec<_>>().concat();
    check(&format!("services:\n{chain}  s100: {{image: x}}\n"), "more than 32 services");
}

#[test]
fn many_problems() {
    let keys = (0..4000).map(|n| format!("k{n}: 1, ")).collect::<Vec<_>>().concat();
    check(&format!("services: {{a: {{image: x, {keys}}}}}"), "knows no key");
    check(&format!("services: {{a: {{image: x, '{}': 1}}}}", "k".repeat(900)), "…");
}
