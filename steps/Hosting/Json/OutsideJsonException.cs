namespace CiSteps.Hosting.Json;

/// <summary>What can be wrong with JSON that others wrote.</summary>
public enum JsonFault
{
    /// <summary>It is not JSON, or something stands after its end.</summary>
    Malformed,

    /// <summary>It is empty, or ends in the middle: its writer or a connection ended first.</summary>
    Truncated,

    /// <summary>It has more bytes than are read of such a document.</summary>
    TooLarge,

    /// <summary>It is nested deeper than such a document is.</summary>
    TooDeep,

    /// <summary>An object has one name twice, so that two readers may read two things.</summary>
    Duplicate,

    /// <summary>A name or a text is not Unicode: bytes that are not UTF-8, or half of a surrogate pair.</summary>
    BrokenText,

    /// <summary>It is JSON, and a value is of another type than belongs there, or is not there.</summary>
    WrongType,
}

/// <summary>JSON from outside is not what it has to be. Each caller says what that means where it reads.</summary>
public sealed class OutsideJsonException : Exception
{
    /// <param name="document">The file or the answer, for people; empty when it is not known.</param>
    /// <param name="path">Where in it, such as <c>components[2].name</c>; empty for the whole.</param>
    /// <param name="fault">The kind of fault.</param>
    /// <param name="what">What is wrong there, as a sentence without its end.</param>
    /// <param name="inner">The parser's own exception, if there is one.</param>
    public OutsideJsonException(string document, string path, JsonFault fault, string what, Exception? inner = null)
        : base(string.IsNullOrEmpty(document) ? what : $"{document}: {what}", inner) =>
        (Document, Path, Fault, What) = (document, path, fault, what);

    /// <summary>The file or the answer, for people; empty when it is not known.</summary>
    public string Document { get; }

    /// <summary>Where in the document, such as <c>components[2].name</c>; empty for the whole.</summary>
    public string Path { get; }

    /// <summary>The kind of fault.</summary>
    public JsonFault Fault { get; }

    /// <summary>What is wrong and where, without the document's name.</summary>
    public string What { get; }
}
