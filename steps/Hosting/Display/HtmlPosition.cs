using System.Text;

namespace CiSteps.Hosting.Display;

/// <summary>Where in a page's markup one is, as a browser sees it.</summary>
internal sealed class HtmlPosition
{
    private readonly StringBuilder name = new();
    private readonly StringBuilder value = new();
    private State state = State.Text;
    private string foreign = "";
    private char quote;

    private enum State
    {
        Text,

        // In an element whose content is not a HTML: a script, a style sheet.
        Foreign,
        InForeign,
        Element,
        Tag,
        AttributeName,
        BeforeValue,
        Quoted,
        Unquoted,
    }

    /// <summary>Between elements, where encoded text is text.</summary>
    public bool IsText => state == State.Text;

    /// <summary>Name of the attribute whose quoted value one is in; null outside of one.</summary>
    public string? Attribute => state == State.Quoted ? name.ToString().ToLowerInvariant() : null;

    /// <summary>What stands in that value so far.</summary>
    public string Value => value.ToString();

    /// <summary>A value was put here, which changes nothing but what the attribute has so far.</summary>
    public void ReadValue()
    {
        if (state == State.Quoted) value.Append('_');
    }

    /// <summary>One letter of the markup.</summary>
    public void Read(char letter)
    {
        switch (state)
        {
            case State.Text when letter == '<':
                name.Clear();
                state = State.Element;
                break;
            case State.Foreign when letter == '<':
                state = State.InForeign;
                break;
            case State.InForeign:
                name.Clear().Append(letter);
                state = letter == '/' ? State.Element : State.Foreign;
                break;
            case State.Element when letter == '>' || char.IsWhiteSpace(letter):
                Enter(name.ToString());
                state = letter == '>' ? Content : State.Tag;
                break;
            case State.Element:
                name.Append(char.ToLowerInvariant(letter));
                break;
            case State.Tag or State.AttributeName or State.Unquoted or State.BeforeValue when letter == '>':
                state = Content;
                break;
            case State.Tag when !char.IsWhiteSpace(letter) && letter != '/':
                name.Clear().Append(letter);
                state = State.AttributeName;
                break;
            case State.AttributeName when letter == '=':
                state = State.BeforeValue;
                break;
            case State.AttributeName when char.IsWhiteSpace(letter):
                state = State.Tag;
                break;
            case State.AttributeName:
                name.Append(letter);
                break;
            case State.BeforeValue when letter is '"' or '\'':
                quote = letter;
                value.Clear();
                state = State.Quoted;
                break;
            case State.BeforeValue when !char.IsWhiteSpace(letter):
                state = State.Unquoted;
                break;
            case State.Quoted when letter == quote:
            case State.Unquoted when char.IsWhiteSpace(letter):
                state = State.Tag;
                break;
            case State.Quoted:
                value.Append(letter);
                break;
            default:
                break;
        }
    }

    private State Content => foreign.Length > 0 ? State.Foreign : State.Text;

    private void Enter(string element)
    {
        if (foreign.Length > 0 && element == "/" + foreign) foreign = "";
        else if (foreign.Length == 0 && IsForeign(element)) foreign = element;
    }

    private static bool IsForeign(string element) =>
        element is "script" or "style" or "xmp" or "iframe" or "noembed" or "noframes" or "noscript" or "plaintext"
        || element.StartsWith("!--", StringComparison.Ordinal);
}
