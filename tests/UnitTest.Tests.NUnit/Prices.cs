using NUnit.Framework;

namespace Shop;

public class Prices
{
    [TestCase("a b")]
    [TestCase("it's [odd]")]
    [TestCase("say \"x\" $HOME `id`")]
    [TestCase("a|b&c=d!e~f, (g) \\")]
    [TestCase("größe 😀")]
    public void Parse(string text) => Once.Fails($"Parse {text}");

    [TestCase(1, TestName = "named \"by hand\" (so) | in a sentence")]
    public void Named(int number) => Once.Fails($"Named {number}");

    [TestCase(1)]
    [TestCase("x")]
    public void Generic<T>(T value) => Once.Fails($"Generic {typeof(T).Name} {value}");

    [Test]
    public void Fine() => Once.Ran("Fine");

    public class Inner
    {
        [Test]
        public void Nested() => Once.Fails("Nested");

        [Test]
        public void FineNested() => Once.Ran("FineNested");
    }
}

[TestFixture(typeof(List<string>))]
public class Stock<T>
{
    [Test]
    public void Counts() => Once.Fails($"Counts {typeof(T).Name}");

    [Test]
    public void StockFine() => Once.Ran("StockFine");
}

[TestFixture("north (1)")]
public class Branch(string name)
{
    [TestCase(2)]
    public void Opens(int hour) => Once.Fails($"Opens {name} {hour}");

    [Test]
    public void BranchFine() => Once.Ran("BranchFine");
}
