//! The keys of a service and of what is in it.

use super::{Table, refused, taken, warned};

/// `services.*`
pub const SERVICE: Table = &[
    taken("annotations"),
    warned("attach", "it says whose output docker compose up shows; here all output is in the journal"),
    taken("blkio_config"),
    taken("build"),
    taken("cap_add"),
    taken("cap_drop"),
    taken("cgroup"),
    taken("cgroup_parent"),
    taken("command"),
    taken("configs"),
    taken("container_name"),
    warned("cpu_count", "it has a meaning on Windows alone"),
    warned("cpu_percent", "it has a meaning on Windows alone"),
    taken("cpu_period"),
    taken("cpu_quota"),
    taken("cpu_rt_period"),
    taken("cpu_rt_runtime"),
    taken("cpu_shares"),
    taken("cpus"),
    taken("cpuset"),
    warned("credential_spec", "it has a meaning on Windows alone"),
    taken("depends_on"),
    taken("deploy"),
    warned("develop", "it is for docker compose watch; nothing is watched here"),
    taken("device_cgroup_rules"),
    taken("devices"),
    taken("dns"),
    taken("dns_opt"),
    taken("dns_search"),
    taken("domainname"),
    taken("entrypoint"),
    taken("env_file"),
    taken("environment"),
    taken("expose"),
    taken("extends"),
    warned(
        "external_links",
        "Podman has no links: put both containers on one network, and use the other's name",
    ),
    taken("extra_hosts"),
    taken("gpus"),
    taken("group_add"),
    taken("healthcheck"),
    taken("hostname"),
    taken("image"),
    taken("init"),
    taken("ipc"),
    warned("isolation", "it has a meaning on Windows alone"),
    taken("label_file"),
    taken("labels"),
    taken("links"),
    taken("logging"),
    taken("mac_address"),
    taken("mem_limit"),
    taken("mem_reservation"),
    taken("mem_swappiness"),
    taken("memswap_limit"),
    refused("models", "there is no model runner here: run the model as a service of its own"),
    taken("network_mode"),
    taken("networks"),
    taken("oom_kill_disable"),
    taken("oom_score_adj"),
    taken("pid"),
    taken("pids_limit"),
    taken("platform"),
    taken("ports"),
    taken("post_start"),
    taken("pre_stop"),
    taken("privileged"),
    taken("profiles"),
    refused("provider", "a service that docker compose hands to another program cannot be run here"),
    taken("pull_policy"),
    warned("pull_refresh_after", "Podman looks for a newer image at each start, not after a time"),
    taken("read_only"),
    taken("restart"),
    taken("runtime"),
    taken("scale"),
    taken("secrets"),
    taken("security_opt"),
    taken("shm_size"),
    taken("stdin_open"),
    taken("stop_grace_period"),
    taken("stop_signal"),
    taken("storage_opt"),
    taken("sysctls"),
    taken("tmpfs"),
    taken("tty"),
    taken("ulimits"),
    refused("use_api_socket", "there is no Docker socket here: mount the socket of Podman as a volume"),
    taken("user"),
    taken("userns_mode"),
    taken("uts"),
    taken("volumes"),
    taken("volumes_from"),
    taken("working_dir"),
];

/// `services.*.extends`
pub const EXTENDS: Table = &[taken("file"), taken("service")];

/// `services.*.depends_on.*`
pub const DEPENDENCY: Table = &[taken("condition"), taken("required"), taken("restart")];

/// `services.*.env_file[]`
pub const ENV_FILE: Table = &[taken("format"), taken("path"), taken("required")];

/// `services.*.healthcheck`
pub const HEALTHCHECK: Table = &[
    taken("disable"),
    taken("interval"),
    taken("retries"),
    taken("start_interval"),
    taken("start_period"),
    taken("test"),
    taken("timeout"),
];

/// `services.*.logging`
pub const LOGGING: Table = &[taken("driver"), taken("options")];

/// `services.*.networks.*`
pub const ATTACHMENT: Table = &[
    taken("aliases"),
    taken("driver_opts"),
    taken("gw_priority"),
    taken("interface_name"),
    taken("ipv4_address"),
    taken("ipv6_address"),
    taken("link_local_ips"),
    taken("mac_address"),
    taken("priority"),
];

/// `services.*.ports[]`
pub const PORT: Table = &[
    warned("app_protocol", "it is a remark that nothing acts on"),
    taken("host_ip"),
    taken("mode"),
    warned("name", "it is a remark that nothing acts on"),
    taken("protocol"),
    taken("published"),
    taken("target"),
];

/// `services.*.volumes[]`
pub const MOUNT: Table = &[
    taken("bind"),
    warned("consistency", "it has a meaning on macOS alone"),
    taken("image"),
    taken("read_only"),
    taken("source"),
    taken("target"),
    taken("tmpfs"),
    taken("type"),
    taken("volume"),
];

/// `services.*.volumes[].bind`
pub const MOUNT_BIND: Table =
    &[taken("create_host_path"), taken("propagation"), taken("recursive"), taken("selinux")];

/// `services.*.volumes[].volume`
pub const MOUNT_VOLUME: Table = &[
    warned("labels", "labels of a volume stand under the volume itself"),
    taken("nocopy"),
    taken("subpath"),
];

/// `services.*.volumes[].tmpfs`
pub const MOUNT_TMPFS: Table = &[taken("mode"), taken("size")];

/// `services.*.volumes[].image`
pub const MOUNT_IMAGE: Table = &[taken("subpath")];

/// `services.*.secrets[]`, `services.*.configs[]`
pub const GRANT: Table = &[taken("gid"), taken("mode"), taken("source"), taken("target"), taken("uid")];

/// `services.*.devices[]`
pub const DEVICE: Table = &[taken("permissions"), taken("source"), taken("target")];

/// `services.*.ulimits.*`
pub const ULIMIT: Table = &[taken("hard"), taken("soft")];

/// `services.*.blkio_config`
pub const BLKIO: Table = &[
    taken("device_read_bps"),
    taken("device_read_iops"),
    taken("device_write_bps"),
    taken("device_write_iops"),
    taken("weight"),
    taken("weight_device"),
];

/// `services.*.blkio_config.device_*[]`
pub const BLKIO_RATE: Table = &[taken("path"), taken("rate")];

/// `services.*.blkio_config.weight_device[]`
pub const BLKIO_WEIGHT: Table = &[taken("path"), taken("weight")];

/// `services.*.post_start[]`, `services.*.pre_stop[]`
pub const HOOK: Table =
    &[taken("command"), taken("environment"), taken("privileged"), taken("user"), taken("working_dir")];
