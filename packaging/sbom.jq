# From `cargo metadata` to a CycloneDX bill of materials: all that is linked into the program, and nothing that only
# builds or tests it. $name names the program, $time when its sources were last changed.

def purl: "pkg:cargo/\(.name)@\(.version)";

# What a package is made of: its own code, and the other packages that are linked with it.
def linked($node; $packages):
  def only_builds: any($packages[.].targets[].kind[]; . == "proc-macro");
  [$node.deps[] | select(any(.dep_kinds[]; .kind == null)) | .pkg | select(only_builds | not)];

(reduce .packages[] as $package ({}; .[$package.id] = $package)) as $packages
| (reduce .resolve.nodes[] as $node ({}; .[$node.id] = $node)) as $nodes
| .resolve.root as $root
| {seen: {($root): true}, next: [$root]}
| until(.next == [];
    [.next[] | linked($nodes[.]; $packages)[]] as $found
    | .seen as $seen
    | .next = ($found | unique | map(select($seen[.] | not)))
    | reduce .next[] as $id (.; .seen[$id] = true))
| (.seen | keys_unsorted | map($packages[.])) as $all
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: $time,
      component: ($packages[$root] | {type: "application", "bom-ref": purl, name, version, purl: purl,
        licenses: [{expression: .license}]})
    },
    components: [$all[] | select(.id != $root)
      | {type: "library", "bom-ref": purl, name, version, purl: purl,
         licenses: [{expression: (.license | gsub("/"; " OR "))}]}] | sort_by(.name, .version),
    dependencies: [$all[] | {ref: purl, dependsOn: (linked($nodes[.id]; $packages) | map($packages[.] | purl) | unique)}]
      | sort_by(.ref)
  }
