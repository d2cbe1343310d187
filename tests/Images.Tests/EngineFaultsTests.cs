using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

/// <summary>Whose fault it is, by the texts of engines 20.10, 28 and 29, BuildKit, runc, crun and podman.</summary>
public sealed class EngineFaultsTests
{
    private const string Shim = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
        + "runc create failed: unable to start container process: ";

    [TestCase("OCI runtime create failed: runc did not terminate successfully: exit status 127: unknown", EngineFault.Runtime)]
    [TestCase("failed to create shim: OCI runtime create failed: runc did not terminate successfully: unknown",
        EngineFault.Runtime)]
    [TestCase(Shim
        + "unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/docker: no such file or directory: unknown",
        EngineFault.Runtime)]
    [TestCase(Shim
        + "error during container init: error mounting \"proc\" to rootfs at \"/proc\": operation not permitted: unknown",
        EngineFault.Runtime)]
    [TestCase("failed to create task for container: failed to start shim: exec: \"containerd-shim-runc-v2\": executable file not "
        + "found in $PATH: unknown", EngineFault.Runtime)]
    [TestCase("failed to solve: process \"/bin/sh -c make\" did not complete successfully: OCI runtime create failed: runc did "
        + "not terminate successfully", EngineFault.Runtime)]
    [TestCase("OCI runtime error: crun: create cgroup: Permission denied", EngineFault.Runtime)]
    [TestCase("error creating overlay mount to /var/lib/docker/overlay2/x/merged: invalid argument", EngineFault.Runtime)]
    [TestCase("OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"foo\": executable "
        + "file not found in $PATH: unknown", null)]
    [TestCase(Shim + "error during container init: exec: \"foo\": executable file not found in $PATH", null)]
    [TestCase(Shim + "exec: \"/a/b\": stat /a/b: no such file or directory: unknown", null)]
    [TestCase(Shim + "exec: \"/data\": permission denied: unknown", null)]
    [TestCase(Shim + "exec /bin/tool: exec format error", null)]
    [TestCase(Shim + "chdir to cwd (\"/work\") set in config.json failed: permission denied: unknown", null)]
    [TestCase("OCI runtime create failed: container_linux.go:380: unable to find user nobody2: no matching entries in passwd "
        + "file", null)]
    [TestCase("crun: executable file `foo` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a "
        + "command that was not found", null)]
    [TestCase("process \"/bin/sh -c exit 9\" did not complete successfully: exit code: 9", null)]
    [TestCase("The command '/bin/sh -c exit 9' returned a non-zero code: 9", null)]
    [TestCase("write /var/lib/docker/tmp/x: no space left on device", EngineFault.DiskFull)]
    [TestCase("failed to solve: failed to compute cache key: failed to copy: write /var/lib/containerd/x: disk quota exceeded",
        EngineFault.DiskFull)]
    [TestCase(Shim + "mkdir /run/containerd/x: no space left on device: unknown", EngineFault.DiskFull)]
    [TestCase("failed to solve: rpc error: code = Unavailable desc = error reading from server: EOF", EngineFault.Gone)]
    [TestCase("Cannot connect to the Docker daemon at unix:///run/x.sock. Is the docker daemon running?", EngineFault.Gone)]
    [TestCase("failed to receive status: rpc error: code = Unavailable desc = closing transport due to: connection error",
        EngineFault.Gone)]
    [TestCase("failed to create endpoint a on network bridge: could not find bridge docker0: route ip+net: no such network "
        + "interface", EngineFault.Network)]
    [TestCase("executor failed running [/bin/sh -c make]: failed to create endpoint x on network bridge", EngineFault.Network)]
    [TestCase("failed to set up container networking: driver failed programming external connectivity on endpoint x: iptables "
        + "failed: iptables: No chain/target/match by that name", EngineFault.Network)]
    [TestCase("could not find an available, non-overlapping IPv4 address pool among the defaults", EngineFault.Network)]
    [TestCase("no available IPv4 addresses on this network's address pools: bridge", EngineFault.Network)]
    [TestCase("failed to set up container networking: network mine not found", null)]
    [TestCase("dockerfile parse error on line 3: unknown instruction: RUNN", null)]
    [TestCase("", null)]
    public void An_engines_fault_is_told_from_the_authors(string text, EngineFault? fault) =>
        Assert.That(EngineFaults.Find(text), Is.EqualTo(fault));

    [TestCase("docker/dockerfile:1",
        "failed to solve: failed to resolve source metadata for docker.io/docker/dockerfile:1: failed to do request: Head "
        + "\"https://registry-1.docker.io/v2/docker/dockerfile/manifests/1\": dial tcp: lookup registry-1.docker.io: no such "
        + "host", EngineFault.FrontEnd)]
    [TestCase("docker/dockerfile:1@sha256:aa",
        "failed to resolve source metadata for docker.io/docker/dockerfile:1@sha256:aa: failed to do request: dial tcp "
        + "1.2.3.4:443: i/o timeout", EngineFault.FrontEnd)]
    [TestCase("localhost:5000/front:2",
        "resolve image config for docker-image://localhost:5000/front:2: failed to authorize: failed to fetch anonymous token: "
        + "401 Unauthorized", EngineFault.FrontEnd)]
    [TestCase("docker/dockerfile:99",
        "failed to solve: failed to resolve source metadata for docker.io/docker/dockerfile:99: docker.io/docker/dockerfile:99: "
        + "not found", null)]
    [TestCase("docker/dockerfile:1",
        "failed to solve: failed to resolve source metadata for localhost:5000/base:1: dial tcp 127.0.0.1:5000: connect: "
        + "connection refused", null)]
    [TestCase(null, "failed to solve: failed to resolve source metadata for docker.io/docker/dockerfile:1: no such host", null)]
    public void A_front_end_that_cannot_be_fetched_is_the_platforms_and_one_that_does_not_exist_the_authors(string? frontEnd,
        string text, EngineFault? fault) =>
        Assert.That(EngineFaults.Find(text, frontEnd), Is.EqualTo(fault));

    [TestCase(400, Shim + "exec: \"foo\": executable file not found in $PATH: unknown", true)]
    [TestCase(500, "OCI runtime create failed: exec: \"foo\": executable file not found in $PATH: unknown", true)]
    [TestCase(404, "network nothing not found", true)]
    [TestCase(400, "invalid volume specification: 'x'", true)]
    [TestCase(400, Shim + "unable to apply cgroup configuration: x", false)]
    [TestCase(500,
        "failed to create endpoint a on network bridge: adding interface veth1 to bridge docker0 failed: could not find bridge "
        + "docker0", false)]
    [TestCase(500, "write /var/lib/docker/containers/x: no space left on device", false)]
    public void A_container_that_cannot_be_had_is_usage_or_an_outage(int status, string text, bool isUsage)
    {
        var failure = EngineFaults.ToStepFailure("cannot run \"foo\"", new EngineRefusalException(status, text));
        Assert.That(failure, isUsage ? Is.InstanceOf<UsageException>() : Is.InstanceOf<UnavailableException>());
        Assert.That(failure.Message, Does.StartWith("cannot run \"foo\": " + text));
    }

    [TestCase(
        "unknown: failed commit on ref \"manifest-sha256:00\": unexpected status from PUT request to http://r/v2/x/manifests/1: "
            + "500 Internal Server Error", ImagePullFailure.Unreachable)]
    [TestCase("received unexpected HTTP status: 500 Internal Server Error", ImagePullFailure.Unreachable)]
    [TestCase(
        "writing blob: uploading layer chunked: received unexpected HTTP status: 503 Service Unavailable",
        ImagePullFailure.Unreachable)]
    [TestCase(
        "unexpected status from PUT request to http://r/v2/x/manifests/1: 504 Gateway Timeout",
        ImagePullFailure.Unreachable)]
    [TestCase("failed to do request: Put \"https://r/v2/x/manifests/1\": readfrom tcp 127.0.0.1:1->127.0.0.1:2: write tcp "
        + "127.0.0.1:1->127.0.0.1:2: use of closed network connection", ImagePullFailure.Unreachable)]
    [TestCase("write tcp 127.0.0.1:1->127.0.0.1:2: write: broken pipe", ImagePullFailure.Unreachable)]
    [TestCase("unknown: unexpected status from POST request to x: 405 Method Not Allowed", ImagePullFailure.Other)]
    public void A_registry_in_trouble_is_told_by_the_words_of_each_store(string text, ImagePullFailure kind) =>
        Assert.That(ImagePullException.Classify(text), Is.EqualTo(kind));
}
