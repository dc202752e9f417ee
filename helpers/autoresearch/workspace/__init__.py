"""What a candidate is: its copy, its diff, what it may touch, the commit it becomes; and the frozen evaluator."""
