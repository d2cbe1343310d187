using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

/// <summary>Whose fault a failed build is, by what builders really said.</summary>
public sealed class BuildFaultsTests
{
    private const string FrontEnd = "localhost:1/nofrontend:1";

    // Author: the step refuses (1). Input: what is named does not exist (2). Outside: to be tried again (3).
    private static IEnumerable<TestCaseData> Cases()
    {
        TestCaseData Author(string text, string instruction = "", params string[] lines) => new(text, instruction, lines, null);
        TestCaseData Input(string text, string instruction = "") =>
            new(text, instruction, Array.Empty<string>(), typeof(UsageException));
        TestCaseData Outside(string text, string instruction = "", params string[] lines) =>
            new(text, instruction, lines, typeof(UnavailableException));

        // BuildKit.
        yield return Author(
            "failed to build: failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3",
            "RUN exit 3");
        yield return Author(
            "failed to solve: process \"/bin/sh -c curl x\" did not complete successfully: exit code: 6",
            "RUN curl x",
            "curl: (6) dial tcp: connection refused");
        yield return Author(
            "failed to build: failed to solve: process \"/nothing\" did not complete successfully: exit code: 1",
            "RUN [\"/nothing\"]",
            "runc run failed: unable to start container process: error during container init: exec: \"/nothing\": " +
            "stat /nothing: no such file or directory");
        yield return Author(
            "failed to build: failed to solve: failed to compute cache key: failed to calculate checksum of ref d60::kxe: " +
            "\"/nothing\": not found",
            "COPY nothing /x");
        yield return Author("failed to build: failed to solve: dockerfile parse error on line 2: unknown instruction: NONSENSE");
        yield return Outside(
            "failed to build: failed to solve: process \"/bin/sh -c true\" did not complete successfully: exit code: 1",
            "RUN true",
            "runc run failed: unable to start container process: error during container init: " +
            "error mounting \"proc\" to rootfs at \"/proc\": operation not permitted");
        yield return Outside("failed to solve: process \"/bin/sh -c dd\" did not complete successfully: exit code: 1", "RUN dd",
            "dd: error writing '/t/f': No space left on device");
        yield return Outside(
            "failed to solve: failed to copy files: copy file range failed: no space left on device", "COPY a /b");
        yield return Outside(
            "failed to build: failed to solve: failed to resolve source metadata for localhost:1/nofrontend:1: " +
            "failed to do request: Head \"https://localhost:1/v2/nofrontend/manifests/1\": dial tcp 127.0.0.1:1: connect: " +
            "connection refused");
        yield return Input(
            "failed to build: failed to solve: failed to resolve source metadata for localhost:1/nofrontend:1: " +
            "localhost:1/nofrontend:1: not found");
        yield return Outside(
            "failed to build: failed to solve: localhost:1/nobase:1: failed to resolve source metadata for " +
            "localhost:1/nobase:1: failed to do request: Head \"https://localhost:1/v2/nobase/manifests/1\": " +
            "dial tcp 127.0.0.1:1: connect: connection refused");
        yield return Input(
            "failed to build: failed to solve: localhost:5990/nobase:1: failed to resolve source metadata for " +
            "localhost:5990/nobase:1: localhost:5990/nobase:1: not found");
        yield return Outside(
            "failed to solve: registry.example/base:1: failed to resolve source metadata for registry.example/base:1: " +
            "unexpected status from HEAD request to https://registry.example/v2/base/manifests/1: 503 Service Unavailable");
        yield return Outside("failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF");
        yield return Outside(
            "failed to build: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?");

        yield return Author("failed to solve: executor failed running [/bin/sh -c exit 7]: exit code: 7", "RUN exit 7");
        yield return Outside("failed to solve: ResourceExhausted: write /var/lib/x: no space left on device");

        // The engine's own.
        yield return Outside(
            "failed to export image: failed to unpack image: apply layer error for \"x\": write /snapshots/7/fs/a: " +
            "no space left on device");
        yield return Input(
            "failed to resolve reference \"registry.example/nothing:1\": registry.example/nothing:1: not found",
            "FROM registry.example/nothing:1");
        yield return Author("The command '/bin/sh -c exit 3' returned a non-zero code: 3", "RUN exit 3");
        // That builder says so in its own words where the runtime fails.
        yield return Author(
            "The command '/bin/sh -c echo OCI runtime create failed: x; exit 1' returned a non-zero code: 1",
            "RUN echo OCI runtime create failed: x; exit 1",
            "OCI runtime create failed: x");
        yield return Author(
            "COPY failed: file not found in build context or excluded by .dockerignore: stat nothing: file does not exist",
            "COPY nothing /x");
        yield return Author(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: " +
            "unable to start container process: error during container init: exec: \"/nothing\": stat /nothing: " +
            "no such file or directory",
            "RUN [\"/nothing\"]");
        yield return Outside(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: " +
            "unable to start container process: error during container init: error setting cgroup config for procHooks " +
            "process: no such device",
            "RUN true");
        yield return Outside("failed to copy files: userspace copy failed: write /x: no space left on device", "COPY a /b");
        yield return Outside(
            "Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: no such host",
            "FROM registry.example/base:1");
        yield return Outside(
            "ADD failed: Get \"https://x.example/a\": dial tcp 127.0.0.1:1: connect: connection refused",
            "ADD https://x.example/a /a");
        yield return Input(
            "manifest for registry.example/base:9 not found: manifest unknown: manifest unknown", "FROM registry.example/base:9");

        // podman's.
        yield return Author("building at STEP \"RUN exit 3\": while running runtime: exit status 3\n", "RUN exit 3");
        yield return Author(
            "building at STEP \"COPY nothing /x\": checking on sources under \"/tmp/b\": copier: stat: \"/nothing\": " +
            "no such file or directory",
            "COPY nothing /x");
        yield return Outside(
            "creating build container: initializing source docker://localhost:1/base:1: " +
            "pinging container registry localhost:1: Get \"https://localhost:1/v2/\": dial tcp 127.0.0.1:1: connect: " +
            "connection refused",
            "FROM localhost:1/base:1");
    }

    [TestCaseSource(nameof(Cases))]
    public void Says_whose(string text, string instruction, string[] lines, Type? expected)
    {
        var fault = BuildFaults.Find(new ImageBuildException(instruction, text, lines), "cannot build \"web\"", FrontEnd);
        Assert.That(fault?.GetType(), Is.EqualTo(expected), fault?.Message);
        if (fault is UnavailableException)
            Assert.That(fault.Message, Does.Contain("; ").Or.Contain("does not answer"), "what to do about it");
    }
}
