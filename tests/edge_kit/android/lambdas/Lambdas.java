import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.IntBinaryOperator;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import java.util.function.ToIntFunction;

/** Prints what lambdas of every kind answer: before and after they became classes the words must be the same. */
public class Lambdas {
    interface Named {
        String name();

        default Supplier<String> greeting() {
            return () -> "hello " + name();
        }
    }

    private final int base = 40;

    private int add(int more) {
        return base + more;
    }

    private static long twice(long value) {
        return 2 * value;
    }

    @FunctionalInterface
    interface LongTwice {
        long apply(long value);
    }

    List<Object> run(long wide, double real, byte small, String text) {
        List<Object> said = new ArrayList<>();
        ToIntFunction<Integer> method = this::add;
        said.add(method.applyAsInt(2));
        said.add(((LongTwice) Lambdas::twice).apply(wide));
        Supplier<List<String>> make = ArrayList::new;
        said.add(make.get());
        Function<String, Integer> length = String::length;
        said.add(length.apply(text));
        BiFunction<Long, Double, Object> captured = (a, b) -> a + b + wide + real + small + text + base;
        said.add(captured.apply(1L, 2.5));
        IntBinaryOperator sum = Integer::sum;
        said.add(sum.applyAsInt(3, 4));
        ToDoubleFunction<Double> unboxed = value -> value / 2;
        said.add(unboxed.applyAsDouble(real));
        said.add(((Named) () -> text).greeting().get());
        Comparator<String> order = (Comparator<String> & Serializable) (a, b) -> b.compareTo(a);
        List<String> words = Arrays.asList("a", "c", "b");
        words.sort(order);
        said.add(words);
        said.add(order instanceof Serializable);
        Runnable nothing = () -> said.add("ran");
        nothing.run();
        Function<Object, Object> list = said::add;
        said.add(list.apply('x'));
        return said;
    }

    public static void main(String[] arguments) {
        System.out.println(new Lambdas().run(1L << 40, 0.75, (byte) -3, "text"));
    }
}
