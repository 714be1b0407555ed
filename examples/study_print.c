/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "report.h"
#include "study.h"

void print_intro(size_t tested, int seeds, int epochs)
{
    printf("A study of dropout on handwritten digits\n\n"
           "A network of %d-%d-%d-%d units learns %d digits, %d of them with wrong labels, in %d\n"
           "epochs, and is tested on the other %zu, whose labels are right. Figures are mean +-\n"
           "standard deviation over %d seeds. Each seed draws other digits, labels, weights and\n"
           "masks.\n\n"
           "   accuracy  the share of right answers, 0 to 1\n"
           "   loss      the mean negative log likelihood of the label, in nats; less is better\n",
           PIXELS, HIDDEN, HIDDEN, CLASSES, TRAINING, MISLABELED, epochs, tested, seeds);
}

static void print_rates(const struct finding *f, int seeds)
{
    printf(
        "\n1. How much to drop: p by %d-fold cross-validation\n\n"
        "   A fifth of the %d digits is held out. The network learns the others, and is validated\n"
        "   on that fifth. This is done for each fifth. Each seed chooses the p with the best\n"
        "   validation accuracy. Held-out labels are wrong as often as the others, so it cannot be\n"
        "   much above %.1f. After the choice, networks learn all %d digits and are tested.\n\n",
        FOLDS, TRAINING, 1 - (double)MISLABELED / (double)TRAINING, TRAINING);
    printf("   %-4s  %-14s  %-14s  %-14s  %-14s  %s\n", "", "validation", "validation", "test",
           "test", "chosen by");
    printf("   %-4s  %-14s  %-14s  %-14s  %-14s  %s\n", "p", "accuracy", "loss", "accuracy", "loss",
           "seeds");
    for (int i = 0; i < RATES; i++) {
        int chosen = 0;

        for (int s = 0; s < seeds; s++)
            chosen += f[s].chosen == i;
        printf("   %-4.1f", f->rate[i].settings.p);
        print_spread(&f->rate[i].validation.accuracy, sizeof *f, seeds);
        print_spread(&f->rate[i].validation.loss, sizeof *f, seeds);
        print_spread(&f->rate[i].whole.test.accuracy, sizeof *f, seeds);
        print_spread(&f->rate[i].whole.test.loss, sizeof *f, seeds);
        printf("  %d\n", chosen);
    }
}

static void print_regularisers(const struct finding *f, int seeds)
{
    static const char *const names[ROWS] = {
        "nothing",  "weight decay",          "early stopping",
        "dropout",  "dropout, weight decay", "dropout, early stopping",
        "all three"};

    printf("\n2. What else helps: weight decay and early stopping\n\n"
           "   Weight decay adds d * w to the gradient of a weight w; d is %g, %g or %g. Early\n"
           "   stopping ends training after the epoch with the best validation. Each seed chooses\n"
           "   its own p, d and epoch, by the cross-validation of part 1.\n\n"
           "   %-23s  %-14s  %-14s  %s\n",
           study_decays[0], study_decays[1], study_decays[2], "", "test accuracy", "test loss",
           "mean epochs");
    for (int i = 0; i < ROWS; i++) {
        double epochs = 0;

        for (int s = 0; s < seeds; s++)
            epochs += f[s].row[i].epochs / seeds;
        printf("   %-23s", names[i]);
        print_spread(&f->row[i].test.accuracy, sizeof *f, seeds);
        print_spread(&f->row[i].test.loss, sizeof *f, seeds);
        printf("  %.0f\n", epochs);
    }
}

static void print_scaling(const struct finding *f, int seeds)
{
    static const char *const names[SCALINGS] = {"in training (BITDROP_SCALE_TRAIN)",
                                                "at inference (BITDROP_SCALE_INFER), matched",
                                                "at inference, nothing else changed"};
    int same = 0;

    printf(
        "\n3. Where to scale: in training or at inference (p = 0.5)\n\n"
        "   Inverted dropout multiplies the kept elements by 1/(1-p) in training. Classic dropout\n"
        "   multiplies all elements by 1-p at inference. Matched: the weights after a dropout\n"
        "   begin 1/(1-p) times as large, and their learning rate is 1/(1-p)^2 times as large.\n\n"
        "   %-43s  %-14s  %s\n",
        "scale", "test accuracy", "test loss");
    for (int i = 0; i < SCALINGS; i++) {
        printf("   %-43s", names[i]);
        print_spread(&f->scaling[i].accuracy, sizeof *f, seeds);
        print_spread(&f->scaling[i].loss, sizeof *f, seeds);
        putchar('\n');
    }
    for (int s = 0; s < seeds; s++)
        same += f[s].scaling[INVERTED].loss == f[s].scaling[CLASSIC_MATCHED].loss;
    printf(
        "\n   Seeds whose first two networks have the same test loss, to the last bit: %d of %d\n",
        same, seeds);
}

static void print_ensembles(const struct finding *f, int seeds)
{
    printf(
        "\n4. The network as an ensemble: Monte Carlo dropout\n\n"
        "   A pass at test time can drop units too, with streams of its own. The probabilities of\n"
        "   many such passes are averaged. Each seed uses the p that it chose in part 1.\n\n"
        "   confidence     the mean probability of the predicted class\n"
        "   mistaken loss  the expected loss if test labels were wrong as often as those learned\n"
        "\n   %-25s  %-14s  %-14s  %-14s  %s\n",
        "", "test accuracy", "confidence", "test loss", "mistaken loss");
    for (int i = 0; i < ENSEMBLES; i++) {
        const struct ensemble *e = &f->ensemble[i];

        if (study_passes[i] == 0)
            printf("   %-25s", " 1 pass, nothing dropped");
        else
            printf("   %2" PRIu32 " %-22s", study_passes[i],
                   study_passes[i] == 1 ? "pass that drops" : "passes that drop");
        print_spread(&e->accuracy, sizeof *f, seeds);
        print_spread(&e->confidence, sizeof *f, seeds);
        print_spread(&e->loss, sizeof *f, seeds);
        print_spread(&e->loss_mistaken, sizeof *f, seeds);
        putchar('\n');
    }
}

void print_findings(const struct finding *f, int seeds)
{
    print_rates(f, seeds);
    print_regularisers(f, seeds);
    print_scaling(f, seeds);
    print_ensembles(f, seeds);
}
