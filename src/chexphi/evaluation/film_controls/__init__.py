"""Does the policy look at the film? The same questions with a grey, another, a mirrored or a noisy film."""
