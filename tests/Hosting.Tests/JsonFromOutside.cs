using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;

namespace CiSteps.Hosting.Tests;

/// <summary>JSON that others wrote.</summary>
public sealed class JsonFromOutside
{
    private const int Seed = 20261127;

    private const string Sound = """
        {"name":"greeter","components":[{"name":"a","size":1},{"name":"b","size":2},{"name":"cé\u00e9\ud83d\ude00","flag":true,"none":null}],
         "depth":{"x":[[1.5e3],[]]}}
        """;

    private static readonly JsonLimits Small = new(4096, Depth: 8);

    [TestCase("", JsonFault.Truncated, "", "it is empty")]
    [TestCase(" \n", JsonFault.Truncated, "", "it is empty")]
    [TestCase("{\"a\":[1,{\"b\":", JsonFault.Truncated, "a[1].b", "a[1].b ends in the middle")]
    [TestCase("{\"a\":\"hal", JsonFault.Truncated, "a", "a ends in the middle")]
    [TestCase("{\"a\":1}}", JsonFault.Malformed, "", "it goes on after its end (line 1, byte 8)")]
    [TestCase("{\"a\":1} {\"a\":2}", JsonFault.Malformed, "", "it goes on after its end (line 1, byte 9)")]
    [TestCase("<html>", JsonFault.Malformed, "", "it is not well-formed JSON (line 1, byte 1)")]
    [TestCase("{\"a\":\n[1,\n x]}", JsonFault.Malformed, "a[1]", "a[1] is not well-formed JSON (line 3, byte 2)")]
    [TestCase("{\"a\":NaN}", JsonFault.Malformed, "a", "a is not well-formed JSON (line 1, byte 6)")]
    [TestCase("{\"a\":1,}", JsonFault.Malformed, "a", "a is not well-formed JSON (line 1, byte 8)")]
    [TestCase("{/*c*/\"a\":1}", JsonFault.Malformed, "", "it is not well-formed JSON (line 1, byte 2)")]
    [TestCase("{\"a\":{\"b\":1,\"c\":2,\"b\":3}}", JsonFault.Duplicate, "a.b", "a.b stands there twice")]
    [TestCase("{\"b\":1,\"\\u0062\":3}", JsonFault.Duplicate, "b", "b stands there twice")]
    [TestCase("{\"a\":[\"\\ud800\"]}", JsonFault.BrokenText, "a[0]", "a[0] has a text with a character that no text can have")]
    [TestCase(
        "{\"a\":[\"\\uDC00\\uD800\"]}", JsonFault.BrokenText, "a[0]", "a[0] has a text with a character that no text can have")]
    [TestCase("{\"\\ud800\":1}", JsonFault.BrokenText, "", "it has a text with a character that no text can have")]
    [TestCase(
        "[[[[[[[[[1]]]]]]]]]",
        JsonFault.TooDeep,
        "[0][0][0][0][0][0][0][0]",
        "[0][0][0][0][0][0][0][0] is nested deeper than 8 levels")]
    [TestCase("[1]", JsonFault.WrongType, "", "it is not a JSON object")]
    [TestCase("null", JsonFault.WrongType, "", "it is not a JSON object")]
    public void Is_refused_with_what_and_where(string text, JsonFault fault, string path, string what)
    {
        var error = Assert.Throws<OutsideJsonException>(() => OutsideJson.ReadObject(text, "\"x.json\"", Small));

        Assert.That((error.Fault, error.Path, error.What, error.Message), Is.EqualTo((fault, path, what, $"\"x.json\": {what}")));
    }

    [TestCase("{\"a\":\"\xff\"}", "a")]
    [TestCase("{\"a\":{\"\xc3\":1}}", "a")]
    [TestCase("\xff\xfe{\0}\0", "")]
    public void Is_refused_where_its_bytes_are_not_text(string latin, string path)
    {
        var error = Assert.Throws<OutsideJsonException>(() => OutsideJson.ReadObject(Encoding.Latin1.GetBytes(latin), "x"));

        Assert.That(
            (error.Fault is JsonFault.BrokenText or JsonFault.Malformed, error.Path), Is.EqualTo((true, path)), error.Message);
    }

    [Test]
    public async Task Is_refused_when_it_is_larger_than_its_limit()
    {
        var text = $"{{\"a\":\"{new string('x', 5000)}\"}}";
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));

        Assert.That(
            Assert.Throws<OutsideJsonException>(() => OutsideJson.Read(text, "x", Small)).What,
            Is.EqualTo("it is larger than 4096 bytes"));
        Assert.That(
            (await Assert.ThrowsAsync<OutsideJsonException>(
                () => OutsideJson.ReadObjectAsync(stream, "x", Small, default)))!.Fault,
            Is.EqualTo(JsonFault.TooLarge));
    }

    [Test]
    public async Task Is_read_by_every_way_alike()
    {
        var bytes = Encoding.UTF8.GetBytes("\uFEFF" + Sound);
        using var stream = new MemoryStream(bytes);
        using var document = OutsideJson.ReadDocument(bytes, "x");
        var read = new[]
        {
            OutsideJson.ReadObject(Sound, "x"), OutsideJson.ReadObject(bytes, "x"),
            await OutsideJson.ReadObjectAsync(stream, "x", JsonLimits.Standard, default),
            OutsideJson.ReadObject(bytes, "x", JsonLimits.Standard with { AllowsDuplicates = true }),
            JsonObject.Create(document.RootElement)!,
        };

        Assert.That(read.Select(one => JsonNode.DeepEquals(one, read[0])), Is.All.True);
        Assert.That(
            read[0].Objects("components").Select(one => one.Text("name")),
            Is.EqualTo(new[] { "a", "b", "cé\u00e9\ud83d\ude00" }));
    }

    [Test]
    public void May_name_things_twice_and_in_any_case_where_its_owner_reads_it_so()
    {
        var read = OutsideJson.ReadObject(
            """{"auths":{"a":1},"Auths":{"b":2}}""",
            "x",
            JsonLimits.Standard with { AllowsDuplicates = true, IgnoresCase = true });

        Assert.That(read.Number("AUTHS", "B"), Is.EqualTo(2));
        Assert.That(
            Assert.Throws<OutsideJsonException>(
                () => OutsideJson.Read("""{"auths":1,"Auths":2}""", "x", JsonLimits.Standard with { IgnoresCase = true })).Path,
            Is.EqualTo("Auths"));
    }

    [Test]
    public void Says_which_member_is_of_another_type_and_in_which_document()
    {
        var json = OutsideJson.ReadObject(Sound, "\"x.json\"");
        var components = json.Objects("components").ToList();

        Assert.Multiple(() =>
        {
            Says(() => components[1].Text("size"), "\"x.json\": components[1].size is a number, not a text");
            Says(() => json.Text("name", "inner"), "\"x.json\": name is a text, not an object");
            Says(() => json.Map("components"), "\"x.json\": components is a list, not an object");
            Says(() => json.List("depth"), "\"x.json\": depth is an object, not a list");
            Says(() => json.Number("name"), "\"x.json\": name is a text, not a whole number");
            Says(() => json.Flag("name"), "\"x.json\": name is a text, not true or false");
            Says(() => _ = json.Texts("components").ToList(), "\"x.json\": components[0] is an object, not a text");
            Says(() => _ = json.Objects("depth", "x").ToList(), "\"x.json\": depth.x[0] is a list, not an object");
            Assert.That(
                (json.Text("none"), components[2].Text("none"), json.Text("none", "more"), components[2].Flag("flag")),
                Is.EqualTo(((string?)null, (string?)null, (string?)null, true)));
        });

        static void Says(Action read, string message) =>
            Assert.That(Assert.Throws<OutsideJsonException>(read)!.Message, Is.EqualTo(message));
    }

    [Test]
    public void Ends_in_one_exception_or_can_be_read_to_its_last_text_however_it_is_broken()
    {
        var random = new Random(Seed);
        var (refused, taken) = (0, 0);
        for (var round = 0; round < 4000; round++)
        {
            var bytes = Broken(random);
            try
            {
                var node = OutsideJson.Read(bytes, "x", Small);
                _ = node?.ToJsonString();
                ReadAll(node);
                using var document = OutsideJson.ReadDocument(bytes, "x", Small);
                taken++;
            }
            catch (OutsideJsonException error)
            {
                Assert.That(error.What, Is.Not.Empty);
                refused++;
            }
        }

        Assert.That((refused > 1000, taken > 100), Is.EqualTo((true, true)), $"{refused} refused, {taken} taken");
    }

    private static byte[] Broken(Random random)
    {
        var bytes = Encoding.UTF8.GetBytes(Sound).ToList();
        for (var changes = random.Next(1, 4); changes > 0; changes--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                case 2:
                    bytes.RemoveAt(at);
                    break;
                case 3:
                    bytes.InsertRange(at, "\\ud8"u8.ToArray());
                    break;
                case 4:
                    bytes.InsertRange(at, bytes.GetRange(at, random.Next(bytes.Count - at)));
                    break;
                default:
                    bytes.Insert(at, (byte)"{}[]\",:0a\\"[random.Next(10)]);
                    break;
            }
            if (bytes.Count == 0) break;
        }
        return [.. bytes];
    }

    private static void ReadAll(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject map:
                foreach (var (name, value) in map)
                {
                    Assert.That(name, Is.Not.Null);
                    ReadAll(value);
                }
                break;
            case JsonArray list:
                foreach (var item in list) ReadAll(item);
                break;
            case JsonValue value when value.TryGetValue(out string? text):
                Assert.That(text, Is.Not.Null);
                break;
        }
    }
}
