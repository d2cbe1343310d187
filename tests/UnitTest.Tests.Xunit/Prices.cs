using Xunit;

namespace Shop;

public class Prices
{
    [Theory]
    [InlineData("a b")]
    [InlineData("it's [odd]")]
    [InlineData("say \"x\" $HOME `id`")]
    [InlineData("a|b&c=d!e~f, (g) \\")]
    [InlineData("größe 😀")]
    public void Parse(string text) => Once.Fails($"Parse {text}");

    [Fact(DisplayName = "named \"by hand\" (so) | in a sentence")]
    public void Named() => Once.Fails("Named 1");

    [Theory]
    [InlineData(1)]
    [InlineData("x")]
    public void Generic<T>(T value) => Once.Fails($"Generic {typeof(T).Name} {value}");

    [Fact]
    public void Fine() => Once.Ran("Fine");

    public class Inner
    {
        [Fact]
        public void Nested() => Once.Fails("Nested");

        [Fact]
        public void FineNested() => Once.Ran("FineNested");
    }
}

public abstract class Stock<T>
{
    [Fact]
    public void Counts() => Once.Fails($"Counts {typeof(T).Name}");

    [Fact]
    public void StockFine() => Once.Ran("StockFine");
}

public class Books : Stock<List<string>>;
